"""The page of the API reference: a frame for Swagger UI, and below it a table of routes and callers, which needs no script."""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kit.http.routing import Access, Route


@dataclass(frozen=True, slots=True)
class AccessTable:
    """The callers that each route lets in: a row for each route, a column for each kind of caller."""

    routes: Sequence[Route]
    callers: Sequence[str]
    may_call: Callable[[Access, str], bool]


def page(title: str, access: AccessTable) -> str:
    """Return the page as HTML. Its scripts and styles are files below /docs/."""
    title = html.escape(title)
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{title}: API reference</title><link rel='icon' href='data:,'><link rel='stylesheet' href='/docs/swagger-ui.css'>"
        "<link rel='stylesheet' href='/docs/docs.css'></head><body class='reference'>"
        "<noscript><main><p>This page needs scripts. The same as a document: <a href='/openapi.json'>openapi.json</a>.</p></main></noscript>"
        f"<div id='reference'></div><main><h1 id='access'>Who may call what</h1>{_table(access)}</main>"
        "<script src='/docs/swagger-ui-bundle.js'></script><script src='/docs/reference.js'></script></body></html>"
    )


def _table(access: AccessTable) -> str:
    head = "".join(f"<th>{caller}</th>" for caller in access.callers)
    rows = "".join(
        f"<tr><td><code>{route.method} {html.escape(route.path)}</code></td>"
        + "".join(f"<td>{'yes' if access.may_call(route.access, caller) else ''}</td>" for caller in access.callers)
        + "</tr>"
        for route in access.routes
    )
    return f"<table><thead><tr><th>route</th>{head}</tr></thead><tbody>{rows}</tbody></table>"


STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: .85rem; display: block; overflow-x: auto; } td, th { padding: .15rem .5rem; text-align: left; }
td code { white-space: nowrap; } code { font-size: .95em; overflow-wrap: anywhere; } ul { margin: .25rem 0; }
.reference { color-scheme: light; background: #fff; color: #222; margin: 0; } .reference main { max-width: 80rem; }
.code-samples { padding: 0 1rem 1rem; } .code-samples pre.microlight { padding: 1rem; margin: .5rem 0 0; background: #333; color: #fff; overflow-x: auto; white-space: pre; }
.code-samples .btn[aria-pressed=true] { background: #333; color: #fff; } .code-samples .btn { padding: .25rem 1rem; margin-left: .25rem; }
"""
"""The style sheet of this page and of the other small pages."""
