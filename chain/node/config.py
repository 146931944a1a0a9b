"""The configured nodes: their names, their providers, and their URLs, which contain keys and must never be shown."""

import ipaddress
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,63})=(https?://.+)")
_SHORTEST_SECRET = 6


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """One configured node. `name` is unique and safe to show, the URL is not. All nodes of one `provider` have one vote."""

    name: str
    provider: str
    url: str = field(repr=False)
    spectrum: bool = False

    def scrub(self, text: str) -> str:
        """Replace every part of the URL that could be a key (six characters or more) in a text of the node or of a library."""
        for secret in self._secrets():
            text = text.replace(secret, "[redacted]")
        return text

    def _secrets(self) -> list[str]:
        parts = urlsplit(self.url)
        pieces = {
            self.url,
            parts.path,
            f"{parts.path}?{parts.query}",
            parts.query,
            parts.username or "",
            parts.password or "",
        }
        pieces |= set(parts.path.split("/")) | {value for _, value in parse_qsl(parts.query)}
        return sorted((piece for piece in pieces if len(piece) >= _SHORTEST_SECRET), key=len, reverse=True)


def provider_of(url: str) -> str:
    """Return the provider for a URL: the last two labels of its host, or host and port on loopback. Raises ValueError."""
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("a node's URL starts with http:// or https:// and names a host")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if host == "localhost" or host.endswith(".localhost"):
            return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
        return ".".join(host.rstrip(".").split(".")[-2:])
    if address.is_loopback:
        return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    return host


def parse_nodes(mezo_urls: str, spectrum_urls: str = "", *, variable: str = "MEZO_RPC_URLS") -> list[NodeConfig]:
    """Parse `MEZO_RPC_URLS` and `SPECTRUM_RPC_URLS`; Spectrum's nodes come first, and each list keeps its order.

    An entry is a URL or `operator=url`, where the operator is the node's provider. `variable` is the name of the first list. Raises
    ValueError, which names the wrong entry by its position and never by its text.
    """
    nodes: list[NodeConfig] = []
    names: Counter[str] = Counter()
    seen: set[str] = set()
    for source, text, spectrum in (("SPECTRUM_RPC_URLS", spectrum_urls, True), (variable, mezo_urls, False)):
        for place, entry in enumerate((part.strip() for part in text.split(",") if part.strip()), start=1):
            named = _NAMED.fullmatch(entry)
            url = named[2] if named else entry
            try:
                provider = provider_of(url)
            except ValueError as error:
                raise ValueError(f"{source}, entry {place}: {error}") from None
            provider = named[1] if named else provider
            if url in seen:
                raise ValueError(f"{source}, entry {place}: the same node is listed twice")
            seen.add(url)
            names[provider] += 1
            name = provider if names[provider] == 1 else f"{provider}#{names[provider]}"
            nodes.append(NodeConfig(name, provider, url, spectrum))
    return nodes


_LISTS = ("MEZO_RPC_URLS", "SPECTRUM_RPC_URLS")
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)", re.DOTALL)


def read_nodes(path: Path) -> list[NodeConfig]:
    """Read the nodes from a file with lines `MEZO_RPC_URLS=...` and `SPECTRUM_RPC_URLS=...`, each at most once.

    Blank lines, comments (`#`), a byte order mark, `export`, and white space and quotes around a value are ignored. Any other line
    makes the file invalid, because its meaning would be lost. Raises OSError, or ValueError, which names the line without its text.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("the file of nodes is not UTF-8 text") from error
    lists: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        match = _LINE.fullmatch(content)
        name = match[1] if match else None
        if match is None or name not in _LISTS:
            names = " nor ".join(f"{variable}=..." for variable in _LISTS)
            raise ValueError(f"line {number} of the file of nodes is neither {names}, blank or a comment")
        if name in lists:
            raise ValueError(
                f"line {number} of the file of nodes names {name} a second time; one line holds the whole list"
            )
        value = match[2].strip()
        if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]:
            value = value[1:-1].strip()
        lists[name] = value
    nodes = parse_nodes(lists.get("MEZO_RPC_URLS", ""), lists.get("SPECTRUM_RPC_URLS", ""))
    if not nodes:
        raise ValueError("the file of nodes names none")
    return nodes


def parse_ws(text: str) -> list[NodeConfig]:
    """Parse `MEZO_WS_URLS`, a list of WebSocket URLs. Raises ValueError, which names the wrong entry by its position."""
    nodes = []
    for place, entry in enumerate((part.strip() for part in text.split(",") if part.strip()), start=1):
        name, named, url = entry.partition("=")
        url = url if named and "://" not in name else entry
        if not url.startswith(("ws://", "wss://")):
            raise ValueError(f"MEZO_WS_URLS, entry {place}: a node's URL starts with ws:// or wss://")
        nodes.append(NodeConfig(f"ws{place}", f"ws{place}", url, spectrum=False))
    return nodes
