"""A source of credentials that does not respond: signing fails in time, and nothing else waits for it."""

import asyncio
import time

import pytest

from treasury.signers.gcp import GcpKms
from treasury.signers.protocol import SignerUnavailable

KEY = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"


async def test_a_silent_metadata_server_holds_up_neither_the_loop_nor_the_signer_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "NO_GCE_CHECK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "GCE_METADATA_HOST": host,
        "GCE_METADATA_IP": host,
        "GCE_METADATA_ROOT": host,
        "HOME": "/nonexistent",
    }.items():
        monkeypatch.setenv(name, value)
    longest = 0.0
    kms = GcpKms(KEY)
    began = time.monotonic()
    asking = asyncio.create_task(kms.public_key())
    while not asking.done():
        before = time.monotonic()
        await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - before)
    with pytest.raises(SignerUnavailable):
        await asking
    assert time.monotonic() - began < 15
    assert longest < 2.0, "the event loop went on"
    server.close()
