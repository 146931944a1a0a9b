"""One key behind every signer: a keystore, a fake of AWS KMS, a fake of Google Cloud KMS, and SoftHSM."""

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from onramp.bootstrap.server import start_app
from onramp.dev.chain.anvil import free_port
from onramp.dev.kms.aws import KEY_ID, FakeAwsKms
from onramp.dev.kms.gcp import KEY_VERSION, FakeGcpKms
from onramp.dev.kms.server import DevKey
from tests.support.clocks import ManualClock
from tests.support.hot_wallet import CHAIN_ID, KEY, TOKEN
from tests.support.signers import LIMITS, PASSWORD, Rig
from treasury.signers.aws import AwsKms
from treasury.signers.gcp import GcpKms
from treasury.signers.intent import SigningLimits
from treasury.signers.local import LocalSigner
from treasury.signers.protocol import Signer
from treasury.signers.remote import RemoteSigner


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that points the SDK at a URL with environment variables alone, as a deployment does."""

    def set_up(url: str) -> None:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", url)
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "development")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "development")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    return set_up


@pytest.fixture
async def aws(aws_environment: Callable[[str], None]) -> AsyncIterator[Rig]:
    port, key = free_port(), DevKey(KEY)
    runner, _ = await start_app(FakeAwsKms(key).app(), "127.0.0.1", port)
    aws_environment(f"http://127.0.0.1:{port}")
    keys = AwsKms(KEY_ID)
    yield Rig(RemoteSigner(keys, LIMITS, ManualClock()), key, keys, f"http://127.0.0.1:{port}")
    await keys.close()
    await runner.cleanup()


@pytest.fixture
async def gcp() -> AsyncIterator[Rig]:
    key = DevKey(KEY)
    server = FakeGcpKms(key)
    endpoint = await server.start()
    keys = GcpKms(KEY_VERSION, endpoint=endpoint)
    yield Rig(RemoteSigner(keys, LIMITS, ManualClock()), key, keys, endpoint)
    await keys.close()
    await server.stop()


@pytest.fixture(scope="session")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from eth_account import Account

    path = tmp_path_factory.mktemp("keys") / "hot.json"
    path.write_text(json.dumps(Account.encrypt(KEY, PASSWORD, kdf="pbkdf2", iterations=1000)))
    return path


@pytest.fixture(scope="session")
def hsm_token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Create a token in SoftHSM; yield the library's path and the token's PIN."""
    library = next((path for path in Path("/usr/lib").rglob("libsofthsm2.so")), None)
    if library is None or shutil.which("softhsm2-util") is None:
        message = "SoftHSM is not installed (Debian's softhsm2)"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    home = tmp_path_factory.mktemp("hsm")
    (home / "tokens").mkdir()
    (home / "softhsm2.conf").write_text(f"directories.tokendir = {home / 'tokens'}\nobjectstore.backend = file\n")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(home / "softhsm2.conf")
    command = ["softhsm2-util", "--init-token", "--free", "--label", "onramp", "--pin", "4711", "--so-pin", "4712"]
    subprocess.run(command, check=True, capture_output=True)
    yield str(library), "4711"
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before


@pytest.fixture
def each_signer(request: pytest.FixtureRequest) -> Iterator[Signer]:
    match request.param:
        case "local":
            yield LocalSigner(request.getfixturevalue("keystore"), PASSWORD, LIMITS)
        case "softhsm":
            from tests.support.softhsm import SoftHsm

            keys: Any = SoftHsm(*request.getfixturevalue("hsm_token"))
            yield RemoteSigner(keys, SigningLimits(CHAIN_ID, keys.address, TOKEN, max_fee=10**10))
            keys.end()
        case name:
            rig: Rig = request.getfixturevalue(name)
            yield rig.signer
