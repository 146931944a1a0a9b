"""Responses with a strong ETag: a client that has the content already gets 304 without it (RFC 9110, section 13.1.2)."""

import hashlib

from aiohttp import web


def etag_of(content: bytes) -> str:
    """Return a strong ETag of `content`, with its quotes; other content has another ETag."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def conditional(
    request: web.Request, content: bytes, etag: str, *, cache: str, content_type: str = "application/json"
) -> web.Response:
    """Return the content with its ETag and `cache` as Cache-Control, or 304 if `If-None-Match` names that ETag."""
    headers = {"ETag": etag, "Cache-Control": cache}
    if _has(request, etag.strip('"')):
        return web.Response(status=304, headers=headers)
    return web.Response(body=content, content_type=content_type, headers=headers)


def _has(request: web.Request, value: str) -> bool:
    """Return whether `If-None-Match` names the ETag. The comparison is weak, so a tag that a proxy weakened counts as well."""
    return any(tag.value in {"*", value} for tag in request.if_none_match or ())
