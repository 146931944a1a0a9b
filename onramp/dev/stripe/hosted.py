"""The hosted page, where a person pays with a test card, and the script that stands in for `window.StripeOnramp`.

The page is let in by the opaque hash of the redirect address, or by the client secret that the embedding page hands it;
it never sees the account's secret key.
"""

import asyncio
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import web

from onramp.dev.stripe.account import Sandbox
from onramp.dev.stripe.browser import browser_session
from onramp.dev.stripe.controls import read_object, refusing
from onramp.dev.stripe.errors import StripeError, bad
from onramp.dev.stripe.params import amount, valid_address
from onramp.dev.stripe.session import Session, session_hash
from onramp.dev.stripe.walk import Edits, pairs

STATIC: Final = Path(__file__).parent / "static"
GOOD_CARD: Final = "4242424242424242"
DECLINED_CARD: Final = "4000000000000002"
_PAGE_HEADERS: Final = {
    # No frame-ancestors: being framed by the shop's page is the purpose.
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_TYPES: Final = {".css": "text/css", ".js": "text/javascript"}


class HostedPage:
    """The page, its files, and the calls it makes."""

    def __init__(self, account: Sandbox) -> None:
        """Of one account."""
        self._account = account
        self._running: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        """As aiohttp takes them."""
        return [
            web.get("/pay", refusing(self.page)),
            web.get("/pay/{name}", refusing(self.file)),
            web.get("/sandbox/stripe-onramp.js", refusing(self.script)),
            web.post("/pay/state", refusing(self.state)),
            web.post("/pay/confirm", refusing(self.confirm)),
        ]

    async def close(self) -> None:
        """Leave payments under way where they are."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def page(self, _request: web.Request) -> web.Response:
        """The page; the same for every session."""
        return web.Response(body=(STATIC / "pay.html").read_bytes(), content_type="text/html", headers=_PAGE_HEADERS)

    async def file(self, request: web.Request) -> web.Response:
        """One of its files."""
        return _file(request.match_info["name"])

    async def script(self, _request: web.Request) -> web.Response:
        """The browser script, for any page to load."""
        return _file("stripe-onramp.js")

    async def state(self, request: web.Request) -> web.Response:
        """Where the purchase stands, priced with the buyer's wishes; looking at the page is what takes it to the payment."""
        body = read_object(await request.read())
        session = self._found(body)
        if session["status"] == "initialized":
            self._account.walk(session, "requires_payment")
        edits = self._edits(session, body) if session["status"] == "requires_payment" else Edits()
        return _json(browser_session(session, edits, self._account.config))

    async def confirm(self, request: web.Request) -> web.Response:
        """Take a test card. A card that fails leaves the session where it is."""
        body = read_object(await request.read())
        session = self._found(body)
        if session["status"] == "initialized":
            self._account.walk(session, "requires_payment")
        if session["status"] != "requires_payment":
            raise bad("sandbox_already_paid", "This purchase has been paid or closed already.")
        edits = self._edits(session, body)
        if edits.wallet_address is None and session["transaction_details"]["wallet_address"] is None:
            raise bad("crypto_onramp_wallet_address_invalid", "Fill in the wallet that shall receive the purchase.")
        number = "".join(filter(str.isdigit, str(body.get("number", ""))))
        if number == DECLINED_CARD:
            raise StripeError(
                402, "card_declined", "Your card was declined. Try another card.", kind="card_error", param="number"
            )
        if number != GOOD_CARD:
            message = "Your card number is not right. In test mode use 4242 4242 4242 4242."
            raise StripeError(402, "incorrect_number", message, kind="card_error", param="number")
        self._account.walk(session, "fulfillment_processing", edits)
        task = asyncio.get_running_loop().create_task(self._deliver(session))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return _json(browser_session(session, Edits(), self._account.config))

    async def _deliver(self, session: Session) -> None:
        await asyncio.sleep(self._account.config.step_seconds)
        if session["status"] == "fulfillment_processing":
            self._account.walk(session, "fulfillment_complete")

    def _found(self, body: dict[str, Any]) -> Session:
        key = str(body.get("key", ""))
        session = self._account.store.get(self._account.store.by_hash(key) or key.partition("_secret_")[0], "key")
        if key not in {session["client_secret"], session_hash(session)}:
            raise StripeError(404, "resource_missing", "No such onramp session.")
        return session

    def _edits(self, session: Session, body: dict[str, Any]) -> Edits:
        """What the buyer chose, within what the session leaves open."""
        details = session["transaction_details"]
        source, wallet = body.get("source_amount"), body.get("wallet_address")
        currency, network = body.get("destination_currency"), body.get("destination_network")
        if source is not None and source != details["source_amount"]:
            if not self._account.config.amount_editable:
                raise bad("sandbox_locked", "The amount of this purchase is fixed.", "source_amount")
            if not isinstance(source, str) or amount(source, 2) is None:
                message = "Fill in an amount with at most two decimal places."
                raise bad("crypto_onramp_invalid_source_amount", message, "source_amount")
            self._within_limits(source)
        if (currency is None) != (network is None) or (
            currency is not None and (currency, network) not in pairs(session)
        ):
            raise bad("crypto_onramp_invalid_destination_currency_and_network_pair", "This cannot be bought here.")
        there = network or details["destination_network"]
        if wallet is not None and wallet != details["wallet_address"]:
            if details["lock_wallet_address"]:
                raise bad("sandbox_locked", "The receiving wallet of this purchase is fixed.", "wallet_address")
            if not isinstance(wallet, str) or not valid_address(there, wallet):
                message = f"This is not a wallet address on {there}."
                raise bad("crypto_onramp_wallet_address_invalid", message, "wallet_address")
        return Edits(
            source_amount=source, wallet_address=wallet, destination_currency=currency, destination_network=network
        )

    def _within_limits(self, source: str) -> None:
        value, config = amount(source, 2), self._account.config
        assert value is not None
        if config.minimum_amount is not None and value < config.minimum_amount:
            message = f"The smallest purchase is {config.minimum_amount}."
            raise bad("crypto_onramp_amount_below_minimum", message, "source_amount")
        if config.maximum_amount is not None and value > config.maximum_amount:
            message = f"The largest purchase is {config.maximum_amount}."
            raise bad("crypto_onramp_amount_above_maximum", message, "source_amount")


def _file(name: str) -> web.Response:
    path = STATIC / name
    if path.parent != STATIC or path.suffix not in _TYPES or not path.is_file():
        raise StripeError(404, None, "No such file.")
    headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    return web.Response(body=path.read_bytes(), content_type=_TYPES[path.suffix], headers=headers)


def _json(value: Any) -> web.Response:
    return web.Response(
        body=orjson.dumps(value), content_type="application/json", headers={"Cache-Control": "no-store"}
    )
