"""The treasury as a separate process, which alone may sign; the API beside it has no key."""

import asyncio
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kit.db.database import connect
from onramp.dev.chain.anvil import free_port
from onramp.dev.chain.devchain import DevChain, running
from onramp.dev.local.host import ROOT
from onramp.dev.local.wallet import DevWallet, dev_wallet
from tests.support.command_line import ForkedProcess, start_onramp
from tests.support.operators import make_key
from tests.support.treasury_commands import treasury_json

pytestmark = [
    pytest.mark.starts_first,
    pytest.mark.skipif(
        not (ROOT / "node_modules/@mezo-org/musd-contracts").is_dir(),
        reason="node packages are not installed (make setup)",
    ),
]
ONRAMP = str(ROOT / ".venv/bin/onramp")
SCRAPER = "what-prometheus-sends"


@dataclass(frozen=True, slots=True)
class Place:
    """A chain, a wallet, and the settings of both processes."""

    wallet: DevWallet
    environment: dict[str, str]
    home: Path

    @property
    def signer(self) -> dict[str, str]:
        return {"HOT_WALLET_KEYSTORE": str(self.wallet.keystore), "HOT_WALLET_PASSWORD": self.wallet.password}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("alone")
    with running() as chain:
        wallet = dev_wallet(home)
        asyncio.run(_fund(chain, wallet.address))
        yield Place(wallet, _environment(home, chain, wallet), home)


async def _fund(chain: DevChain, address: str) -> None:
    await chain.mint(address, 1_000 * 10**18)
    await chain.fund_gas(address, 10**18)


def _environment(home: Path, chain: DevChain, wallet: DevWallet) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PORT": str(free_port()),
        "DATABASE_URL": f"sqlite+aiosqlite:///{home / 'onramp.db'}",
        "STRIPE_SECRET_KEY": "sk_test_alone",
        "STRIPE_API_BASE": "http://127.0.0.1:9",
        "MEZO_RPC_URLS": ",".join(chain.rpc_urls),
        "MUSD_TOKEN_ADDRESS": chain.deployment.musd,
        "SETTLEMENT_ADDRESS": "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
        "HOT_WALLET_ADDRESS": wallet.address,
    }


@contextmanager
def process(place: Place, *arguments: str, **more: str) -> Iterator[ForkedProcess]:
    log = place.home / f"{arguments[0]}.log"
    log.unlink(missing_ok=True)
    started = start_onramp(place.environment | more, *arguments, log=log)
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait(30)


def metrics(port: int, token: str) -> str:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return str(answer.read().decode())


def balance(api: str, viewer: str) -> Any:
    return treasury_json(api, viewer, "balances")["data"][0]


async def _viewer(place: Place) -> str:
    database = connect(place.environment["DATABASE_URL"])
    try:
        return await make_key(database, "viewer", "vera")
    finally:
        await database.close()


def test_an_api_without_a_signer_shows_what_a_separate_treasury_reads(place: Place) -> None:
    api = f"http://127.0.0.1:{place.environment['PORT']}"
    with process(place, "serve", "--no-workers") as served:
        until = time.monotonic() + 60
        while "serving" not in (place.home / "serve.log").read_text():
            assert served.poll() is None and time.monotonic() < until, (place.home / "serve.log").read_text()
            time.sleep(0.2)
        viewer = asyncio.run(_viewer(place))
        assert balance(api, viewer)["blockNumber"] is None
        scraped = free_port()
        with process(
            place, "work", "--only", "treasury", **place.signer, METRICS_PORT=str(scraped), METRICS_TOKEN=SCRAPER
        ) as treasury:
            while (row := balance(api, viewer))["blockNumber"] is None:
                assert treasury.poll() is None and time.monotonic() < until, (place.home / "work.log").read_text()
                time.sleep(0.3)
            assert 'treasury_balance{asset="MUSD"' in metrics(scraped, SCRAPER), "what it counts no other process knows"
            with pytest.raises(urllib.error.HTTPError, match="401"):
                metrics(scraped, "another")
        assert (row["asset"], row["onChain"]) == ("MUSD", "1000.00")
        assert (served.poll(), treasury.returncode) == (None, 0)
        assert place.wallet.password not in (place.home / "work.log").read_text()


@pytest.mark.parametrize(
    ("signer", "says"),
    [
        ({}, "The treasury has no signer: HOT_WALLET_SIGNER is local, and its settings are empty."),
        ({"HOT_WALLET_KEYSTORE": "KEYSTORE", "HOT_WALLET_PASSWORD": "wrong"}, "The treasury's signer cannot be used: "),
        ({"HOT_WALLET_KEYSTORE": "/nowhere", "HOT_WALLET_PASSWORD": "x"}, "The treasury's signer cannot be used: "),
        ({"DELIVERY_MODE": "observe", "DELIVERY_SENDERS": "0x976EA74026E726554dB657fA54763abd0C3a0aa9"}, "pays from no wallet"),
    ],
)  # fmt: skip
def test_without_a_usable_signer_it_does_not_start_and_says_so_in_a_line(
    place: Place, signer: dict[str, str], says: str
) -> None:
    variables = {name: value.replace("KEYSTORE", str(place.wallet.keystore)) for name, value in signer.items()}
    result = subprocess.run(
        [ONRAMP, "work", "--only", "treasury"], env=place.environment | variables, cwd=place.home, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (result.returncode, says in result.stderr) == (1, True), result.stderr
    assert result.stderr.splitlines()[-1].startswith("onramp: ")
    assert sum(line.startswith("onramp: ") for line in result.stderr.splitlines()) == 1
    assert "Traceback" not in result.stderr
    assert "working" not in result.stdout + result.stderr


@pytest.mark.parametrize("command", ["serve", "work"])
@pytest.mark.parametrize("wrong", ["address", "password"])
def test_a_key_that_is_not_the_pinned_one_stops_the_start(place: Place, command: str, wrong: str) -> None:
    variables = {
        "address": {"HOT_WALLET_ADDRESS": "0x976EA74026E726554dB657fA54763abd0C3a0aa9"},
        "password": {"HOT_WALLET_PASSWORD": "wrong"},
    }[wrong]
    result = subprocess.run(
        [ONRAMP, command], env=place.environment | place.signer | variables, cwd=place.home, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr.splitlines()[-1].startswith("onramp: HOT_WALLET_ADDRESS ")) == (1, True)
    assert "Traceback" not in result.stderr
