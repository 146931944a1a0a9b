"""The keystore signer: what it signs, what it refuses, and what its errors never reveal."""

from dataclasses import replace
from pathlib import Path

import pytest
from coincurve import PrivateKey
from eth_account import Account

from chain.abi.erc20 import split_payout_calldata
from chain.types import to_checksum
from tests.support.hot_wallet import CHAIN_ID, KEY, MUSD, TOKEN, WALLET
from tests.support.signers import INTENT, LIMITS, PASSWORD
from treasury.signers.intent import TransferIntent
from treasury.signers.local import LocalSigner
from treasury.signers.protocol import SignerRefused, WrongKey
from treasury.signers.signed_transaction import CURVE_ORDER, assemble, signing_hash


def digest_signature(intent: TransferIntent) -> tuple[int, int]:
    raw = PrivateKey(KEY).sign_recoverable(signing_hash(intent), hasher=None)
    return int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big")


async def test_the_signed_bytes_decode_to_the_intent(keystore: Path) -> None:
    from eth_account.typed_transactions.typed_transaction import TypedTransaction
    from hexbytes import HexBytes

    signed = await LocalSigner(keystore, PASSWORD, LIMITS).sign(INTENT)
    fields = TypedTransaction.from_bytes(HexBytes(signed.raw)).as_dict()
    assert Account.recover_transaction(signed.raw) == WALLET
    assert (fields["chainId"], fields["nonce"], fields["value"], fields["gas"]) == (CHAIN_ID, 7, 0, 80_000)
    assert (fields["maxFeePerGas"], fields["maxPriorityFeePerGas"]) == (10**9, 10**8)
    assert to_checksum("0x" + bytes(fields["to"]).hex()) == TOKEN
    assert split_payout_calldata(bytes(fields["data"])) == (INTENT.to, INTENT.amount, INTENT.reference)
    assert fields["s"] <= CURVE_ORDER // 2


async def test_the_bytes_are_those_of_eth_account(keystore: Path) -> None:
    signed = await LocalSigner(keystore, PASSWORD, LIMITS).sign(INTENT)
    from chain.abi.erc20 import payout_calldata

    reference = INTENT.reference or b""
    theirs = Account.sign_transaction(
        {
            "type": 2,
            "chainId": CHAIN_ID,
            "nonce": 7,
            "maxFeePerGas": 10**9,
            "maxPriorityFeePerGas": 10**8,
            "gas": 80_000,
            "to": TOKEN,
            "value": 0,
            "data": payout_calldata(INTENT.to, INTENT.amount, reference),
        },
        KEY,
    )
    assert signed.raw == bytes(theirs.raw_transaction)
    assert signed.hash == "0x" + bytes(theirs.hash).hex()


def test_a_high_s_is_lowered_and_the_signature_stays_valid() -> None:
    r, s = digest_signature(INTENT)
    assert assemble(INTENT, r, CURVE_ORDER - s, "a").raw == assemble(INTENT, r, s, "b").raw


def test_a_signature_of_another_key_is_thrown_away() -> None:
    raw = PrivateKey(bytes.fromhex("22" * 32)).sign_recoverable(signing_hash(INTENT), hasher=None)
    with pytest.raises(SignerRefused, match="pinned"):
        assemble(INTENT, int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big"), "x")


def test_a_signature_of_another_intent_is_thrown_away() -> None:
    r, s = digest_signature(replace(INTENT, amount=6 * MUSD))
    with pytest.raises(SignerRefused):
        assemble(INTENT, r, s, "x")


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": 31612},
        {"wallet": to_checksum("0x" + "aa" * 20)},
        {"token": to_checksum("0x" + "cc" * 20)},
        {"to": TOKEN},
        {"to": WALLET},
        {"to": "0x" + "0" * 40},
        {"amount": 0},
        {"amount": 2**256},
        {"reference": b"short"},
        {"nonce": -1},
        {"gas_limit": 1_000_000},
        {"max_fee": 10**11},
        {"priority_fee": 10**9 + 1},
    ],
)
async def test_an_intent_that_breaks_a_limit_is_not_signed(keystore: Path, change: dict[str, object]) -> None:
    with pytest.raises(SignerRefused):
        await LocalSigner(keystore, PASSWORD, LIMITS).sign(replace(INTENT, **change))  # type: ignore[arg-type]


async def test_the_error_of_a_wrong_password_does_not_contain_it(keystore: Path) -> None:
    with pytest.raises(SignerRefused) as refused:
        await LocalSigner(keystore, "tr0ub4dor", LIMITS).probe()
    assert "tr0ub4dor" not in str(refused.value)
    assert refused.value.__cause__ is None


async def test_another_address_than_the_pinned_one_is_refused(keystore: Path) -> None:
    rules = replace(LIMITS, wallet=to_checksum("0x" + "aa" * 20))
    with pytest.raises(SignerRefused, match="another address"):
        await LocalSigner(keystore, PASSWORD, rules).probe()


async def test_a_missing_keystore_will_never_sign_and_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongKey, match="HOT_WALLET_KEYSTORE cannot be read"):
        await LocalSigner(tmp_path / "none.json", PASSWORD, LIMITS).probe()
