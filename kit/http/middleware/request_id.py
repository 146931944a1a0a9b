"""Request ids: the client's own if it is well-formed, else a new one; returned in `X-Request-Id` and written with every log line."""

import re

from aiohttp import web

from kit.ids import Ids
from kit.logs import bind, unbind

HEADER = "X-Request-Id"
REQUEST_ID = web.RequestKey("request_id", str)
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,128}", re.ASCII)


def assign(request: web.Request, ids: Ids) -> str:
    """Choose the id of a request, store it under REQUEST_ID, bind it to the log lines of this task, and return it."""
    sent = request.headers.get(HEADER, "")
    request_id = sent if _WELL_FORMED.fullmatch(sent) else ids.new("req_")
    request[REQUEST_ID] = request_id
    # The task serves a whole connection: what an earlier request bound, such as its session, must not appear in this one's lines.
    unbind()
    bind(request_id=request_id)
    return request_id
