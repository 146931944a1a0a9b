"""The page that a browser shows if a login through the provider fails."""

from html import escape

from aiohttp import web

from kit.http.problems import Problem

POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HTML = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>Not logged in</title><link rel="stylesheet" href="/docs/docs.css"></head>
<body><main><h1>You are not logged in</h1><p role="alert">{detail}</p>
<p><a href="/console">Back to the login</a></p><p><code>{code}</code></p></main></body></html>
"""


def failed(request: web.Request, problem: Problem) -> web.StreamResponse:
    """Return the page for a failed login. Raises the problem itself for a program, which does not ask for HTML."""
    if "text/html" not in request.headers.get("Accept", ""):
        raise problem
    return web.Response(
        text=_HTML.format(detail=escape(problem.detail), code=escape(problem.code)),
        status=problem.status,
        content_type="text/html",
        headers={**problem.headers, "Cache-Control": "no-store", "Content-Security-Policy": POLICY},
    )
