"""The hosted page, where a person pays with a test card, and the script that stands in for `window.StripeOnramp`."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from aiohttp import web

from onramp.sandbox.errors import StripeError, bad

if TYPE_CHECKING:
    from onramp.sandbox.app import Sandbox

STATIC: Final = Path(__file__).parent / "static"
GOOD_CARD: Final = "4242424242424242"
DECLINED_CARD: Final = "4000000000000002"
_POLICY: Final = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:"
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".html": "text/html"}


def _public(session: dict[str, Any]) -> dict[str, Any]:
    """What the page and the browser script may know: the front end's shape, not the API's."""
    details = session["transaction_details"]
    return {
        "id": session["id"],
        "status": session["status"],
        "wallet_address": details["wallet_address"],
        "lock_wallet_address": details["lock_wallet_address"],
        "quote": {
            "source_amount": details["source_amount"] or "100.00",
            "source_currency": details["source_currency"] or "usd",
            "destination_amount": details["destination_amount"],
            "destination_currency": details["destination_currency"] or "usdc",
            "destination_network": details["destination_network"] or "ethereum",
            "blockchain_tx_id": details["transaction_id"],
        },
    }


class HostedPage:
    """The page, its files, and the two calls it makes."""

    def __init__(self, sandbox: "Sandbox") -> None:
        """Of one account."""
        self._sandbox = sandbox
        self._running: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        """As aiohttp takes them."""
        return [
            web.get("/pay", self.page),
            web.get("/sandbox/{name:stripe-onramp\\.js}", self.file),
            web.get("/pay/{name}", self.file),
            web.post("/pay/state", self.state),
            web.post("/pay/confirm", self.pay),
        ]

    def _found(self, key: str) -> dict[str, Any]:
        """By the opaque hash of the redirect URL, or by the client secret."""
        store = self._sandbox.store
        session = store.get(store.by_hash.get(key) or key.partition("_secret_")[0])
        if key not in {session["client_secret"], session["redirect_url"].rpartition("=")[2]}:
            raise StripeError(404, "resource_missing", "No such onramp session.")
        return session

    async def page(self, _request: web.Request) -> web.Response:
        """The page."""
        text = (STATIC / "pay.html").read_text()
        return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": _POLICY})

    async def file(self, request: web.Request) -> web.Response:
        """One of its files."""
        path = STATIC / request.match_info["name"]
        if path.parent != STATIC or not path.is_file():
            raise StripeError(404, None, "No such file.")
        headers = {"Access-Control-Allow-Origin": "*"}
        return web.Response(body=path.read_bytes(), content_type=_TYPES[path.suffix], headers=headers)

    async def state(self, request: web.Request) -> web.Response:
        """Where the purchase stands; looking at the page is what takes it to the payment."""
        session = self._found(str((await _body(request)).get("key", "")))
        if session["status"] == "initialized":
            self._sandbox.walk(session, "requires_payment", {})
        return _json(_public(session))

    async def pay(self, request: web.Request) -> web.Response:
        """Take a test card."""
        body = await _body(request)
        session = self._found(str(body.get("key", "")))
        number = "".join(filter(str.isdigit, str(body.get("number", ""))))
        if session["status"] == "initialized":
            self._sandbox.walk(session, "requires_payment", {})
        if session["status"] != "requires_payment":
            raise bad("sandbox_already_paid", "This purchase has been paid already.")
        if number == DECLINED_CARD:
            raise StripeError(402, "card_declined", "Your card was declined. Try another card.")
        if number != GOOD_CARD:
            message = "Your card number is incorrect. The test card is 4242 4242 4242 4242."
            raise StripeError(402, "incorrect_number", message)
        task = asyncio.get_running_loop().create_task(self._fulfil(session, body.get("source_amount")))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return _json(_public(session))

    async def _fulfil(self, session: dict[str, Any], source_amount: object) -> None:
        changes = {"source_amount": source_amount} if source_amount else {}
        self._sandbox.walk(session, "fulfillment_processing", changes)
        await asyncio.sleep(self._sandbox.config.step_seconds)
        self._sandbox.walk(session, "fulfillment_complete", {})


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise bad("sandbox_bad_request", "Send a JSON object.") from error
    if not isinstance(body, dict):
        raise bad("sandbox_bad_request", "Send a JSON object.")
    return body


def _json(value: Any) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
