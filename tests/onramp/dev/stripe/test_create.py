"""Creating a session: the returned values, and a refusal for each problem of a request."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.stripe_sandbox import Sandbox, Start

SESSIONS = "/v1/crypto/onramp_sessions"
WALLET = "0x" + "ab" * 20
SHAPE = json.loads((Path(__file__).parent / "stripe-16.1.0a4.json").read_text())
PAIR = {"destination_currency": "usdc", "destination_network": "ethereum"}


async def test_the_session_has_exactly_the_fields_of_stripes_own_class(sandbox: Sandbox) -> None:
    session = await sandbox.create()
    await sandbox.advance(session, "fulfillment_complete")
    session = (await sandbox.get(f"{SESSIONS}/{session['id']}")).body
    details = session["transaction_details"]

    assert sorted(session) == SHAPE["session"]
    assert sorted(details) == SHAPE["transaction_details"]
    assert sorted(details["fees"]) == SHAPE["fees"]
    assert sorted(details["wallet_addresses"]) == SHAPE["wallet_addresses"]


async def test_the_echo_of_an_order(sandbox: Sandbox) -> None:
    session = await sandbox.create()
    details = session["transaction_details"]

    assert session["id"].startswith("cos_")
    assert session["client_secret"].startswith(session["id"] + "_secret_")
    assert session["redirect_url"].startswith("http://sandbox.test/pay?session_hash=")
    assert (session["status"], session["livemode"], session["metadata"]) == (
        "initialized",
        False,
        {"session_id": "ons_1"},
    )
    assert details["wallet_addresses"]["ethereum"] == WALLET
    assert details["wallet_addresses"]["base_network"] is None
    assert details["wallet_address"] is None
    assert details["lock_wallet_address"] is True
    assert (details["destination_currencies"], details["destination_networks"]) == (["usdc"], ["ethereum"])
    assert (details["source_amount"], details["destination_amount"]) == ("100.00", None)


async def test_an_empty_order_is_a_bare_session_with_the_full_lists(sandbox: Sandbox) -> None:
    answer = await sandbox.post()
    details = answer.body["transaction_details"]

    assert answer.status == 200
    assert details["wallet_addresses"] is None
    assert details["destination_currencies"] == SHAPE["currencies"]
    assert details["destination_networks"] == SHAPE["networks"]


@pytest.mark.parametrize(
    ("currency", "network", "asked", "echoed"),
    [
        ("eth", "ethereum", "0.1234", "0.123400000000000000"),
        ("usdc", "base", "100", "100.000000"),
        ("btc", "bitcoin", "1", "1.00000000"),
        ("sol", "solana", "1.5", "1.500000000"),
    ],
)
async def test_a_destination_amount_is_echoed_to_the_assets_precision(
    sandbox: Sandbox, currency: str, network: str, asked: str, echoed: str
) -> None:
    order = {"destination_currency": currency, "destination_network": network, "destination_amount": asked}
    assert (await sandbox.post(order)).body["transaction_details"]["destination_amount"] == echoed


REFUSED = [
    ({"wallet_addresses[base]": WALLET, **PAIR}, "parameter_unknown", "wallet_addresses[base]"),
    ({"nonsense": "1"}, "parameter_unknown", "nonsense"),
    ({"nonsense[a][]": "1"}, "parameter_unknown", "nonsense"),
    ({"transaction_details[destination_currencies][]": "usdc"}, "parameter_unknown", "transaction_details"),
    ({"customer_information[ssn]": "1"}, "parameter_unknown", "customer_information[ssn]"),
    ({"customer_information[dob][year]": "1990"}, None, "customer_information[dob]"),
    ({"lock_wallet_address": "yes"}, None, "lock_wallet_address"),
    ({"destination_networks": "ethereum"}, None, "destination_networks"),
    ({"destination_networks[]": "mezo"}, None, "destination_networks"),
    (
        {"destination_currency": "", "destination_network": "ethereum"},
        "parameter_invalid_empty",
        "destination_currency",
    ),
    ({"customer_ip_address": "1.2.3"}, "customer_ip_address", "customer_ip_address"),
    ({"customer_ip_address": "203.0.113.1"}, "crypto_onramp_unsupported_country", None),
    ({"customer_ip_address": "203.0.113.2"}, "crypto_onramp_unsupportable_customer", None),
    ({"customer_ip_address": "203.0.113.3"}, "crypto_onramp_disabled", None),
    (
        {"source_amount": "1", "source_currency": "usd", "destination_amount": "1", **PAIR},
        "crypto_onramp_invalid_source_destination_pair",
        None,
    ),
    ({"destination_currency": "usdc"}, "crypto_onramp_incomplete_destination_currency_and_network_pair", None),
    ({"destination_network": "base"}, "crypto_onramp_incomplete_destination_currency_and_network_pair", None),
    (
        {"destination_currency": "btc", "destination_network": "base"},
        "crypto_onramp_invalid_destination_currency_and_network_pair",
        None,
    ),
    ({"source_amount": "1"}, "crypto_onramp_missing_source_currency", "source_currency"),
    ({"source_amount": "0", "source_currency": "usd"}, "crypto_onramp_invalid_source_amount", "source_amount"),
    ({"source_amount": "-1", "source_currency": "usd"}, "crypto_onramp_invalid_source_amount", "source_amount"),
    ({"source_amount": "1.001", "source_currency": "usd"}, "crypto_onramp_invalid_source_amount", "source_amount"),
    ({"source_amount": "NaN", "source_currency": "usd"}, "crypto_onramp_invalid_source_amount", "source_amount"),
    ({"destination_amount": "1"}, "crypto_onramp_missing_destination_currency", "destination_currency"),
    ({"destination_amount": "0.0000001", **PAIR}, "crypto_onramp_invalid_destination_amount", "destination_amount"),
    (
        {"destination_currencies[]": "btc", "destination_networks[]": "base"},
        "crypto_onramp_invalid_destination_currencies_and_networks",
        None,
    ),
    (
        {"destination_currencies[]": "eth", **PAIR},
        "crypto_onramp_conflicting_destination_currency",
        "destination_currency",
    ),
    (
        {"destination_networks[]": "base", **PAIR},
        "crypto_onramp_conflicting_destination_network",
        "destination_network",
    ),
    (
        {"destination_networks[]": "base", "wallet_addresses[ethereum]": WALLET},
        "crypto_onramp_wallet_addresses_not_all_networks_supported",
        "wallet_addresses",
    ),
    (
        {"wallet_addresses[ethereum]": "0x1", **PAIR},
        "crypto_onramp_wallet_address_invalid",
        "wallet_addresses[ethereum]",
    ),
    ({"lock_wallet_address": "true"}, "crypto_onramp_no_wallet_address_to_lock", "lock_wallet_address"),
]


@pytest.mark.parametrize(("order", "code", "param"), REFUSED)
async def test_an_impossible_order_is_refused_with_stripes_code(
    sandbox: Sandbox, order: dict[str, str], code: str, param: str | None
) -> None:
    answer = await sandbox.post(order)

    assert answer.status == 400
    assert answer.code == code
    assert answer.body["error"].get("param") == param
    assert len(sandbox.account.store.sessions) == 0


async def test_an_account_without_a_business_name_cannot_sell(start: Start) -> None:
    answer = await (await start(merchant_ready=False)).post()
    assert answer.code == "crypto_onramp_merchant_not_properly_setup"


async def test_amounts_outside_the_accounts_limits_are_refused(start: Start) -> None:
    sandbox = await start(minimum_amount=Decimal(5), maximum_amount=Decimal(10))
    codes = [(await sandbox.post({"source_amount": text, "source_currency": "usd"})).code for text in ("4.99", "10.01")]
    assert codes == ["crypto_onramp_amount_below_minimum", "crypto_onramp_amount_above_maximum"]


async def test_a_json_body_is_refused(sandbox: Sandbox) -> None:
    assert (await sandbox.call("POST", SESSIONS, json={"source_currency": "usd"})).status == 400


async def test_metadata_keys_may_be_digits(sandbox: Sandbox) -> None:
    session = await sandbox.create(**{"metadata[0]": "a", "metadata[1]": "b"})
    assert session["metadata"] == {"session_id": "ons_1", "0": "a", "1": "b"}


async def test_a_sandbox_without_flat_fields_ignores_them_silently(start: Start) -> None:
    sandbox = await start(flat_fields=False)
    details = (await sandbox.create())["transaction_details"]

    assert details["lock_wallet_address"] is False
    assert details["wallet_addresses"] is None
    assert details["source_exchange_amount"] is None
    assert "destination_currencies" not in details


async def test_the_first_surface_takes_nested_fields_by_their_old_names(start: Start) -> None:
    sandbox = await start(flat_fields=False)
    order = {
        "transaction_details[supported_destination_networks][]": "base",
        "transaction_details[wallet_addresses][base_network]": WALLET,
    }
    details = (await sandbox.post(order)).body["transaction_details"]
    wrong = await sandbox.post({"transaction_details[destination_currencies][]": "usdc"})

    assert details["supported_destination_networks"] == ["base"]
    assert details["wallet_addresses"]["base_network"] == WALLET
    assert wrong.body["error"]["param"] == "transaction_details[destination_currencies]"


async def test_an_older_account_opts_in_to_the_second_surface_by_header(start: Start) -> None:
    sandbox = await start(flat_fields=False)
    version = {"Stripe-Version": "2026-03-25.dahlia;crypto_onramp_beta=v2"}
    answer = await sandbox.post({"source_amount": "5", "source_currency": "eur"}, **version)
    assert answer.body["transaction_details"]["source_amount"] == "5.00"


async def test_an_account_without_the_entitlement_may_not_send_the_beta_header(start: Start) -> None:
    sandbox = await start(beta_entitled=False)
    answer = await sandbox.post(None, **{"Stripe-Version": "2026-03-25.dahlia;crypto_onramp_beta=v2"})
    assert answer.status == 400
    assert "permission" in answer.body["error"]["message"]
