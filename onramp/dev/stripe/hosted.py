"""The hosted page, where a person pays with a test card, and the script that replaces `window.StripeOnramp`.

The page authenticates with the opaque hash in the redirect URL, or with the client secret from the embedding page;
it never has the account's secret key.
"""

import asyncio
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import web

from onramp.dev.stripe.account import Sandbox
from onramp.dev.stripe.browser import browser_session
from onramp.dev.stripe.controls import read_object, with_stripe_errors
from onramp.dev.stripe.errors import StripeError, bad
from onramp.dev.stripe.lifecycle import Edits, pairs
from onramp.dev.stripe.params import amount, valid_address
from onramp.dev.stripe.session import Session, session_hash

STATIC: Final = Path(__file__).parent / "static"
GOOD_CARD: Final = "4242424242424242"
DECLINED_CARD: Final = "4000000000000002"
_PAGE_HEADERS: Final = {
    # No frame-ancestors, because the merchant's page frames this one.
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_TYPES: Final = {".css": "text/css", ".js": "text/javascript"}


class HostedPage:
    """The page of one account, its files, and the calls it makes."""

    def __init__(self, account: Sandbox) -> None:
        self._account = account
        self._running: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        """Return the aiohttp routes."""
        return [
            web.get("/pay", with_stripe_errors(self.page)),
            web.get("/pay/{name}", with_stripe_errors(self.file)),
            web.get("/sandbox/stripe-onramp.js", with_stripe_errors(self.script)),
            web.post("/pay/state", with_stripe_errors(self.state)),
            web.post("/pay/confirm", with_stripe_errors(self.confirm)),
        ]

    async def close(self) -> None:
        """Cancel payments in progress; they keep their current status."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def page(self, _request: web.Request) -> web.Response:
        """Return the page, which is the same for every session."""
        return web.Response(body=(STATIC / "pay.html").read_bytes(), content_type="text/html", headers=_PAGE_HEADERS)

    async def file(self, request: web.Request) -> web.Response:
        """Return one of the page's files."""
        return _file(request.match_info["name"])

    async def script(self, _request: web.Request) -> web.Response:
        """Return the browser script, which any page may load."""
        return _file("stripe-onramp.js")

    async def state(self, request: web.Request) -> web.Response:
        """Return the purchase's state, priced for the buyer's choices. The first call moves the session to `requires_payment`."""
        body = read_object(await request.read())
        session = self._session_of(body)
        if session["status"] == "initialized":
            self._account.walk(session, "requires_payment")
        edits = self._edits(session, body) if session["status"] == "requires_payment" else Edits()
        return _json(browser_session(session, edits, self._account.config))

    async def confirm(self, request: web.Request) -> web.Response:
        """Pay with a test card. A declined card leaves the session as it is."""
        body = read_object(await request.read())
        session = self._session_of(body)
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
            raise StripeError(
                402,
                "incorrect_number",
                "Your card number is not right. In test mode use 4242 4242 4242 4242.",
                kind="card_error",
                param="number",
            )
        self._account.walk(session, "fulfillment_processing", edits)
        task = asyncio.get_running_loop().create_task(self._deliver(session))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return _json(browser_session(session, Edits(), self._account.config))

    async def _deliver(self, session: Session) -> None:
        await asyncio.sleep(self._account.config.step_seconds)
        if session["status"] == "fulfillment_processing":
            self._account.walk(session, "fulfillment_complete")

    def _session_of(self, body: dict[str, Any]) -> Session:
        key = str(body.get("key", ""))
        session = self._account.store.get(self._account.store.by_hash(key) or key.partition("_secret_")[0], "key")
        if key not in {session["client_secret"], session_hash(session)}:
            raise StripeError(404, "resource_missing", "No such onramp session.")
        return session

    def _edits(self, session: Session, body: dict[str, Any]) -> Edits:
        """Return the buyer's choices. Raises StripeError for a choice that the session does not allow."""
        details = session["transaction_details"]
        source, wallet = body.get("source_amount"), body.get("wallet_address")
        currency, network = body.get("destination_currency"), body.get("destination_network")
        if source is not None and source != details["source_amount"]:
            if not self._account.config.amount_editable:
                raise bad("sandbox_locked", "The amount of this purchase is fixed.", "source_amount")
            if not isinstance(source, str) or amount(source, 2) is None:
                raise bad(
                    "crypto_onramp_invalid_source_amount",
                    "Fill in an amount with at most two decimal places.",
                    "source_amount",
                )
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
                raise bad(
                    "crypto_onramp_wallet_address_invalid",
                    f"This is not a wallet address on {there}.",
                    "wallet_address",
                )
        return Edits(
            source_amount=source, wallet_address=wallet, destination_currency=currency, destination_network=network
        )

    def _within_limits(self, source: str) -> None:
        value, config = amount(source, 2), self._account.config
        assert value is not None
        if config.minimum_amount is not None and value < config.minimum_amount:
            raise bad(
                "crypto_onramp_amount_below_minimum",
                f"The smallest purchase is {config.minimum_amount}.",
                "source_amount",
            )
        if config.maximum_amount is not None and value > config.maximum_amount:
            raise bad(
                "crypto_onramp_amount_above_maximum",
                f"The largest purchase is {config.maximum_amount}.",
                "source_amount",
            )


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
