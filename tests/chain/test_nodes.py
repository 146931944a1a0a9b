"""Reading the list of nodes, the deployments, the settings; web3 and Prometheus on top of the pool."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import ValidationError

from chain.deployments import abi, deployment
from chain.node.config import parse_nodes, read_nodes
from chain.node.metrics import PrometheusMetrics
from chain.settings import ChainSettings
from tests.chain.lying_node import SECRET
from tests.chain.receipts import BUYER, TOKEN


def test_spectrum_comes_first_and_providers_are_named_by_host() -> None:
    nodes = parse_nodes(
        "https://rpc-http.mezo.boar.network, imp=https://rpc_evm-mezo.imperator.co",
        "https://spectrum-03.simplystaking.xyz/KEYKEY/mezo/",
    )
    assert [node.name for node in nodes] == ["simplystaking.xyz", "boar.network", "imp"]
    assert [node.spectrum for node in nodes] == [True, False, False]


def test_on_loopback_the_port_makes_the_provider() -> None:
    nodes = parse_nodes("http://127.0.0.1:8545,http://127.0.0.1:8546,http://localhost:1,x=http://127.0.0.1:2/?a=b=c")
    assert [node.provider for node in nodes] == ["127.0.0.1:8545", "127.0.0.1:8546", "localhost:1", "x"]


def test_two_nodes_of_one_provider_keep_apart_by_name() -> None:
    one, two = parse_nodes("https://a.drpc.org/x,https://b.drpc.org/y")
    assert one.provider == two.provider == "drpc.org"
    assert (one.name, two.name) == ("drpc.org", "drpc.org#2")


@pytest.mark.parametrize(
    "entry", [f"ftp://h/{SECRET}", SECRET, f"https:///{SECRET}", f"https://h/{SECRET},https://h/{SECRET}"]
)
def test_a_bad_entry_is_named_by_its_place_alone(entry: str) -> None:
    with pytest.raises(ValueError, match="entry") as raised:
        parse_nodes(entry)
    assert SECRET not in str(raised.value)


def test_the_settings_never_show_a_url() -> None:
    settings = ChainSettings(MEZO_RPC_URLS=f"https://h.test/{SECRET}")
    assert SECRET not in repr(settings)
    with pytest.raises(ValidationError):
        ChainSettings(MEZO_RPC_URLS="nonsense")
    with pytest.raises(ValidationError):
        ChainSettings(MUSD_TOKEN_ADDRESS="0x12")


@pytest.mark.parametrize("chain_id", [31611, 31612])
def test_each_chain_has_its_contracts(chain_id: int) -> None:
    found = deployment(chain_id)
    assert set(found.safes) == {"1.3.0", "1.4.1"}
    assert found.explorer.startswith("https://explorer.")
    with pytest.raises(LookupError):
        deployment(1)


async def test_web3_rides_on_the_pool(nodes: Any, pool: Any) -> None:
    from chain.reads.web3_provider import web3_over

    for node in nodes:
        node.results["eth_call"] = "0x" + (42).to_bytes(32, "big").hex()
    web3 = web3_over(pool, quorum=True)
    token = web3.eth.contract(address=web3.to_checksum_address(TOKEN), abi=abi("erc20"))
    assert await token.functions.balanceOf(BUYER).call() == 42
    assert nodes[0].seen == {"eth_chainId": 1, "eth_blockNumber": 1, "eth_call": 1}
    assert nodes[0].asked[-1][1][1] == hex(100)


async def test_a_revert_is_web3s_own_error(nodes: Any, pool: Any) -> None:
    from web3.exceptions import ContractLogicError

    from chain.reads.web3_provider import web3_over

    for node in nodes:
        node.errors["eth_call"] = {"code": 3, "message": "execution reverted: GS000", "data": "0x"}
    web3 = web3_over(pool)
    safe = web3.eth.contract(address=web3.to_checksum_address(TOKEN), abi=abi("safe"))
    with pytest.raises(ContractLogicError):
        await safe.functions.getThreshold().call()


async def test_metrics_name_nodes_and_never_urls(nodes: Any, make_pool: Any) -> None:
    registry = CollectorRegistry()
    pool = make_pool(metrics=PrometheusMetrics(registry))
    for node, value in zip(nodes, ("0x1", "0x2", "0x2"), strict=True):
        node.results["eth_getBalance"] = value
    await pool.refresh()
    await pool.quorum("eth_getBalance", [])
    text = generate_latest(registry).decode()
    assert SECRET not in text
    assert 'chain_rpc_requests_total{method="eth_blockNumber",node="a.test",outcome="ok"} 1.0' in text
    assert 'chain_node_set_aside{node="a.test"} 1.0' in text
    assert 'chain_node_dissents_total{method="eth_getBalance",node="a.test"} 1.0' in text


def test_a_file_of_nodes_that_cannot_be_read_is_named_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"the file cannot be read \(No such file"):
        ChainSettings(CHAIN_NODES_FILE=tmp_path / "nodes")
    (tmp_path / "nodes").write_text("# nothing\n")
    with pytest.raises(ValidationError, match="names none"):
        ChainSettings(CHAIN_NODES_FILE=tmp_path / "nodes")


URLS = ("alpha=http://127.0.0.1:1", "beta=http://127.0.0.1:2/?a=b", "gamma=http://127.0.0.1:3")


@pytest.mark.parametrize(
    "text",
    [
        f"MEZO_RPC_URLS={URLS[0]},{URLS[1]}\nSPECTRUM_RPC_URLS={URLS[2]}\n",
        f"\ufeffMEZO_RPC_URLS={URLS[0]},{URLS[1]}\r\nSPECTRUM_RPC_URLS={URLS[2]}\r\n",
        f"export MEZO_RPC_URLS={URLS[0]},{URLS[1]}\n\n  # private\n\texport  SPECTRUM_RPC_URLS = '{URLS[2]}'",
        f'MEZO_RPC_URLS = "{URLS[0]} , {URLS[1]}" \nSPECTRUM_RPC_URLS={URLS[2]}',
    ],
)
def test_a_file_of_nodes_is_read_however_an_editor_left_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "nodes").write_bytes(text.encode())
    assert [node.name for node in read_nodes(tmp_path / "nodes")] == ["gamma", "alpha", "beta"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"MEZO_RPC_URL={URLS[1]}", "line 2"),
        (f"mezo_rpc_urls={URLS[1]}", "line 2"),
        (f"  {URLS[1]}", "line 2"),
        (f"MEZO_RPC_URLS={URLS[1]}", "a second time"),
        ("nothing here", "line 2"),
        ("set MEZO_RPC_URLS=x", "line 2"),
        ("SPECTRUM_RPC_URLS=marker", "SPECTRUM_RPC_URLS, entry 1"),
        ("\ud800", "UTF-8"),
    ],
)
def test_a_line_that_would_be_lost_refuses_the_file(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "nodes").write_bytes(f"MEZO_RPC_URLS={URLS[0]},\n{line}\n".encode(errors="surrogatepass"))
    with pytest.raises(ValueError, match=said) as refused:
        read_nodes(tmp_path / "nodes")
    assert "127.0.0.1" not in str(refused.value) and "marker" not in str(refused.value)
