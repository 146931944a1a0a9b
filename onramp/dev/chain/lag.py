"""Turn the responses of a node at the head into those of a node that is some blocks behind."""

from typing import Any, Final

# Method -> index of the parameter that names the block.
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
# On Mezo `finalized` and `safe` mean `latest`.
_HEAD_TAGS: Final = {"latest", "pending", "safe", "finalized"}
_BY_HASH: Final = {"eth_getTransactionReceipt", "eth_getTransactionByHash", "eth_getBlockByHash"}

Message = dict[str, Any]


def _above(block: Any, head: int) -> bool:
    return isinstance(block, str) and block.startswith("0x") and int(block, 16) > head


def limit_request(request: Message, head: int) -> Message | None:
    """Return the request with `latest` replaced by `head`, to be forwarded; None if it names a later block.

    A request for a later block is answered with `unknown_block`.
    """
    method, params = request.get("method"), list(request.get("params") or [])
    if method == "eth_getLogs":
        query = dict(params[0])
        if "blockHash" not in query:
            if _above(query.get("fromBlock"), head) or _above(query.get("toBlock"), head):
                return None
            for end in ("fromBlock", "toBlock"):
                query[end] = hex(head) if query.get(end, "latest") in _HEAD_TAGS else query[end]
        return request | {"params": [query]}
    index = _BLOCK_ARGUMENT.get(str(method))
    if index is None:
        return request
    if len(params) == index:
        params.append("latest")
    if len(params) > index:
        if _above(params[index], head):
            return None
        if isinstance(params[index], str) and params[index] in _HEAD_TAGS:
            params[index] = hex(head)
    return request | {"params": params}


def unknown_block(request: Message) -> Message:
    """Return the response about a block that the node does not have: mezod returns no logs, null for a block, an error for the rest."""
    envelope: Message = {"jsonrpc": "2.0", "id": request.get("id")}
    if request.get("method") == "eth_getLogs":
        return envelope | {"result": []}
    if request.get("method") == "eth_getBlockByNumber":
        return envelope | {"result": None}
    return envelope | {"error": {"code": -32000, "message": "header not found"}}


def limit_response(request: Message, response: Message, head: int) -> Message:
    """Return the response without anything that happened after block `head`."""
    method, result = request.get("method"), response.get("result")
    if method == "eth_blockNumber" and "result" in response:
        return response | {"result": hex(head)}
    if method not in _BY_HASH or not isinstance(result, dict):
        return response
    if not _above(result.get("number" if method == "eth_getBlockByHash" else "blockNumber"), head):
        return response
    if method == "eth_getTransactionByHash":
        # The node received the transaction by gossip, but not its block yet.
        return response | {"result": result | {"blockHash": None, "blockNumber": None, "transactionIndex": None}}
    return response | {"result": None}
