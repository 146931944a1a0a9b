"""`onramp dev` with a node that lies about balances, called LIAR in the environment, while the file LIES_WHILE exists."""

import os
import sys
from pathlib import Path
from typing import Any

import orjson

from onramp.cli import main
from onramp.dev.chain.proxy import NodeProxy

_LIAR, _LIES_WHILE = os.environ["LIAR"], Path(os.environ["LIES_WHILE"])
_METHODS = ("eth_call", "eth_getBalance")
_forward = NodeProxy._forward


def _changed(request: Any, response: Any) -> Any:
    if isinstance(request, list):
        responses = {item.get("id"): item for item in response}
        return [_changed(item, responses[item.get("id")]) for item in request]
    if request.get("method") in _METHODS and isinstance(response.get("result"), str) and len(response["result"]) > 2:
        text = response["result"]
        return response | {"result": f"0x{int(text, 16) + 1:0{len(text) - 2}x}"}
    return response


async def _lie(self: NodeProxy, body: bytes) -> bytes:
    answer = await _forward(self, body)
    if self.name != _LIAR or not _LIES_WHILE.exists():
        return answer
    return orjson.dumps(_changed(orjson.loads(body), orjson.loads(answer)))


NodeProxy._forward = _lie  # type: ignore[method-assign] # in this process alone
sys.argv[0] = "onramp"
main()
