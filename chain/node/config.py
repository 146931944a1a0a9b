"""Which nodes there are, read from the settings: their names, their providers, and the URLs that must never be seen."""

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
    """One node. `name` is unique and is all that is ever shown; nodes of one `provider` count as one opinion."""

    name: str
    provider: str
    url: str = field(repr=False)
    spectrum: bool = False

    def scrub(self, text: str) -> str:
        """A node's or a library's text without any part of the URL that could be a key."""
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
    """Who runs the node behind a URL: the last two labels of its host; host and port on loopback. Raises ValueError."""
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in {"http", "https"} or not host:
        message = "a node's URL starts with http:// or https:// and names a host"
        raise ValueError(message)
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
    """The nodes of `MEZO_RPC_URLS` and `SPECTRUM_RPC_URLS`, Spectrum's first, each list in the order given.

    An entry is a URL or `operator=url`. `variable` is where the first list came from. Raises ValueError, naming the entry by
    its place, never by its text.
    """
    found: list[NodeConfig] = []
    names: Counter[str] = Counter()
    seen: set[str] = set()
    for source, text, spectrum in (("SPECTRUM_RPC_URLS", spectrum_urls, True), (variable, mezo_urls, False)):
        for place, entry in enumerate((part.strip() for part in text.split(",") if part.strip()), start=1):
            named = _NAMED.fullmatch(entry)
            url = named[2] if named else entry
            try:
                provider = provider_of(url)
            except ValueError as error:
                message = f"{source}, entry {place}: {error}"
                raise ValueError(message) from None
            provider = named[1] if named else provider
            if url in seen:
                message = f"{source}, entry {place}: the same node is given twice"
                raise ValueError(message)
            seen.add(url)
            names[provider] += 1
            name = provider if names[provider] == 1 else f"{provider}#{names[provider]}"
            found.append(NodeConfig(name, provider, url, spectrum))
    return found


_LISTS = ("MEZO_RPC_URLS", "SPECTRUM_RPC_URLS")
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)", re.DOTALL)


def read_nodes(path: Path) -> list[NodeConfig]:
    """Return the nodes of a file with lines `MEZO_RPC_URLS=...` and `SPECTRUM_RPC_URLS=...`, each at most once.

    Blank lines, comments (`#`), a byte order mark, `export`, and white space and quotes around a value mean nothing. Any other line
    refuses the file, since what it meant would be lost. Raises OSError, or ValueError that names the line and shows none of it.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = "the file of nodes is not UTF-8 text"
        raise ValueError(message) from error
    lists: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        found = _LINE.fullmatch(content)
        name = found[1] if found else None
        if found is None or name not in _LISTS:
            message = f"line {number} of the file of nodes is neither {' nor '.join(f'{one}=...' for one in _LISTS)}, blank or a comment"
            raise ValueError(message)
        if name in lists:
            message = f"line {number} of the file of nodes names {name} a second time; one line holds the whole list"
            raise ValueError(message)
        value = found[2].strip()
        if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]:
            value = value[1:-1].strip()
        lists[name] = value
    nodes = parse_nodes(lists.get("MEZO_RPC_URLS", ""), lists.get("SPECTRUM_RPC_URLS", ""))
    if not nodes:
        message = "the file of nodes names none"
        raise ValueError(message)
    return nodes


def parse_ws(text: str) -> list[NodeConfig]:
    """The nodes of `MEZO_WS_URLS`. Raises ValueError, naming an entry by its place."""
    found = []
    for place, entry in enumerate((part.strip() for part in text.split(",") if part.strip()), start=1):
        name, named, url = entry.partition("=")
        url = url if named and "://" not in name else entry
        if not url.startswith(("ws://", "wss://")):
            message = f"MEZO_WS_URLS, entry {place}: a node's URL starts with ws:// or wss://"
            raise ValueError(message)
        found.append(NodeConfig(f"ws{place}", f"ws{place}", url, spectrum=False))
    return found
