"""What a node that is some blocks behind would say: the answers of a node at the head, seen from an earlier block."""

from typing import Any, Final

# Where a call names its block, counted from 0.
_BLOCK_ARGUMENT: Final = {
    "eth_getBlockByNumber": 0,
    "eth_call": 1,
    "eth_estimateGas": 1,
    "eth_feeHistory": 1,
    "eth_getBalance": 1,
    "eth_getCode": 1,
    "eth_getTransactionCount": 1,
    "eth_getStorageAt": 2,
}
# On Mezo `finalized` and `safe` are other words for `latest`.
_HEAD_TAGS: Final = {"latest", "pending", "safe", "finalized"}
_BY_HASH: Final = {"eth_getTransactionReceipt", "eth_getTransactionByHash", "eth_getBlockByHash"}

Message = dict[str, Any]


def _above(block: Any, head: int) -> bool:
    return isinstance(block, str) and block.startswith("0x") and int(block, 16) > head


def ask(request: Message, head: int) -> Message | None:
    """The request as it may be passed on; None where the lagging node has to answer by itself (`unknown`)."""
    method, params = request.get("method"), list(request.get("params") or [])
    if method == "eth_getLogs":
        query = dict(params[0])
        if "blockHash" not in query:
            if _above(query.get("fromBlock"), head) or _above(query.get("toBlock"), head):
                return None
            for end in ("fromBlock", "toBlock"):
                query[end] = hex(head) if query.get(end, "latest") in _HEAD_TAGS else query[end]
        return request | {"params": [query]}
    place = _BLOCK_ARGUMENT.get(str(method))
    if place is None:
        return request
    if len(params) == place:
        params.append("latest")
    if len(params) > place:
        if _above(params[place], head):
            return None
        if isinstance(params[place], str) and params[place] in _HEAD_TAGS:
            params[place] = hex(head)
    return request | {"params": params}


def unknown(request: Message) -> Message:
    """The answer about a block that is not there yet: mezod says no error for logs, and null for a block."""
    envelope: Message = {"jsonrpc": "2.0", "id": request.get("id")}
    if request.get("method") == "eth_getLogs":
        return envelope | {"result": []}
    if request.get("method") == "eth_getBlockByNumber":
        return envelope | {"result": None}
    return envelope | {"error": {"code": -32000, "message": "header not found"}}


def answer(request: Message, response: Message, head: int) -> Message:
    """The response without what happened after `head`."""
    method, result = request.get("method"), response.get("result")
    if method == "eth_blockNumber" and "result" in response:
        return response | {"result": hex(head)}
    if method not in _BY_HASH or not isinstance(result, dict):
        return response
    if not _above(result.get("number" if method == "eth_getBlockByHash" else "blockNumber"), head):
        return response
    if method == "eth_getTransactionByHash":
        # It came over the gossip before its block did.
        return response | {"result": result | {"blockHash": None, "blockNumber": None, "transactionIndex": None}}
    return response | {"result": None}
