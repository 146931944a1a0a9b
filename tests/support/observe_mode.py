"""Purchases in observe mode on a local chain: settings, payments, transfers and the delivery that follows."""

from datetime import timedelta
from typing import Any

from pydantic import SecretStr

from chain.abi.erc20 import encode_transfer
from onramp.dev.chain.devchain import DevChain
from tests.support.clocks import OffsetClock
from tests.support.service import Service
from tests.support.waiting import eventually

SENDER = "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"
STRANGER = "0x976EA74026E726554dB657fA54763abd0C3a0aa9"
SENDER_KEY = "0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba"
"""The sixth account of anvil's public test mnemonic: the key of SENDER."""
UNIT = 10**18
WORKERS = ("inbox", "reconcile", "deliveries")


async def send_musd(chain: DevChain, sender: str, to: str, amount: int) -> str:
    """Mint MUSD to `sender` and transfer it to `to`; return the transaction hash."""
    await chain.mint(sender, amount)
    await chain.fund_gas(sender, UNIT)
    await chain.rpc("anvil_impersonateAccount", sender)
    call = {"from": sender, "to": chain.deployment.musd, "data": "0x" + encode_transfer(to, amount).hex()}
    tx_hash: str = await chain.rpc("eth_sendTransaction", call)
    return tx_hash


def observe_settings(chain: DevChain, **more: Any) -> dict[str, Any]:
    """Return the settings of a service that observes SENDER's transfers on this chain."""
    return {
        "DELIVERY_MODE": "observe",
        "DELIVERY_SENDERS": SENDER,
        "MEZO_RPC_URLS": SecretStr(",".join(chain.rpc_urls)),
        "CHAIN_AGREEMENT": 2,
        "MUSD_TOKEN_ADDRESS": chain.deployment.musd,
        **more,
    }


async def delivery(service: Service, session_id: str) -> dict[str, Any]:
    """Return the delivery as the API shows it."""
    async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{session_id}/delivery") as answer:
        body: dict[str, Any] = await answer.json()
        return body


async def delivery_until(service: Service, session_id: str, status: str, seconds: float = 15) -> dict[str, Any]:
    """Wait until the delivery has this status; return it."""

    async def reached() -> dict[str, Any]:
        body = await delivery(service, session_id)
        return body if body["status"] == status else {}

    return await eventually(reached, within=seconds, every=0.1, what=f"a delivery that is {status}")


def pay_unannounced(service: Service, clock: OffsetClock, made: dict[str, Any], amount: str) -> None:
    """Complete the payment at Stripe without an event, and move the clock so that the reconcile worker finds it."""
    fact = service.sandbox.store.get(made["payment"]["stripeSessionId"])
    service.sandbox.walk(fact, "fulfillment_complete", {"destination_amount": amount}, "none")
    clock.ahead += timedelta(seconds=61)


def buyer_wallet(number: int) -> str:
    """Return the address of a buyer that no other test uses."""
    return f"0x{0xB0B0_0000 + number:040x}"
