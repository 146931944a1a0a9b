"""Reading the list of nodes, the deployments, the settings; web3 and Prometheus on top of the pool."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from chain.node.config import parse_nodes, parse_ws, read_nodes
from chain.settings import ChainSettings
from tests.support.fake_node import SECRET


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
    ("line", "expected"),
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
def test_a_line_that_would_be_lost_refuses_the_file(tmp_path: Path, line: str, expected: str) -> None:
    (tmp_path / "nodes").write_bytes(f"MEZO_RPC_URLS={URLS[0]},\n{line}\n".encode(errors="surrogatepass"))
    with pytest.raises(ValueError, match=expected) as refused:
        read_nodes(tmp_path / "nodes")
    assert "127.0.0.1" not in str(refused.value) and "marker" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://a.test", "a.test", "wss:/x", "name=https://a"])
def test_only_a_websocket_wakes(url: str) -> None:
    with pytest.raises(ValueError, match="entry 1"):
        parse_ws(url)
