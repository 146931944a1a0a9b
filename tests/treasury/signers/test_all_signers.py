"""The behaviour that every signer shares, wherever the key is kept."""

from dataclasses import replace

import pytest
from eth_account import Account

from chain.abi.erc20 import payout_calldata
from chain.types import to_checksum
from tests.support.hot_wallet import KEY
from tests.support.signers import INTENT, LIMITS
from treasury.signers.intent import NativeTransferIntent, Purpose, SelfTransferIntent
from treasury.signers.protocol import Signer, SignerRefused
from treasury.signers.signed_transaction import CURVE_ORDER

each = pytest.mark.parametrize("each_signer", ["local", "aws", "gcp", "softhsm"], indirect=True)


@each
async def test_a_signature_recovers_to_the_pinned_wallet_and_is_accepted_by_nodes(each_signer: Signer) -> None:
    from eth_account.typed_transactions.typed_transaction import TypedTransaction
    from hexbytes import HexBytes

    intent = replace(INTENT, wallet=each_signer.address)
    ids = set()
    for nonce in range(12):
        signed = await each_signer.sign(replace(intent, nonce=nonce))
        fields = TypedTransaction.from_bytes(HexBytes(signed.raw)).as_dict()
        assert Account.recover_transaction(signed.raw) == each_signer.address
        assert fields["s"] <= CURVE_ORDER // 2
        assert fields["v"] in {0, 1}
        assert fields["nonce"] == nonce
        ids.add(signed.request_id)
    assert len(ids) == 12
    assert all(len(name) > 8 for name in ids)


@each
async def test_the_key_exists_and_is_the_pinned_one(each_signer: Signer) -> None:
    await each_signer.probe()


@each
async def test_an_end_of_a_nonce_is_signed_and_moves_nothing(each_signer: Signer) -> None:
    signed = await each_signer.sign(SelfTransferIntent(LIMITS.chain_id, each_signer.address, 3, 21_000, 10**9, 10**8))
    assert Account.recover_transaction(signed.raw) == each_signer.address


@each
@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": 1},
        {"token": to_checksum("0x" + "cc" * 20)},
        {"to": to_checksum("0x" + "00" * 20)},
        {"amount": 0},
        {"amount": 2**256},
        {"nonce": -1},
        {"gas_limit": 10**7},
        {"max_fee": 10**12},
        {"priority_fee": 2 * 10**9},
        {"purpose": Purpose.SWEEP},
        {"reference": b"short"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_an_intent_that_breaks_a_rule_is_not_signed(each_signer: Signer, change: dict[str, object]) -> None:
    intent = replace(INTENT, wallet=each_signer.address)
    with pytest.raises(SignerRefused, match="Refused to sign"):
        await each_signer.sign(replace(intent, **change))  # type: ignore[arg-type] # each by its own name


@each
async def test_the_gas_token_goes_nowhere_without_a_pinned_cold_wallet(each_signer: Signer) -> None:
    intent = NativeTransferIntent(LIMITS.chain_id, each_signer.address, 0, INTENT.to, 1, 21_000, 10**9, 10**8)
    with pytest.raises(SignerRefused, match="cold wallet"):
        await each_signer.sign(intent)


@pytest.mark.parametrize("each_signer", ["local"], indirect=True)
@pytest.mark.parametrize("nonce", [0, 1, 127, 128, 255, 256, 2**63])
@pytest.mark.parametrize("amount", [1, 127, 128, 10**18, 2**256 - 1])
async def test_the_bytes_are_those_of_eth_account(each_signer: Signer, nonce: int, amount: int) -> None:
    intent = replace(INTENT, nonce=nonce, amount=amount)
    theirs = Account.sign_transaction(
        {
            "type": 2,
            "chainId": intent.chain_id,
            "nonce": nonce,
            "maxPriorityFeePerGas": intent.priority_fee,
            "maxFeePerGas": intent.max_fee,
            "gas": intent.gas_limit,
            "to": intent.token,
            "value": 0,
            "data": payout_calldata(intent.to, amount, intent.reference or b""),
        },
        KEY,
    )
    signed = await each_signer.sign(intent)
    assert signed.raw == bytes(theirs.raw_transaction)
    assert signed.hash == "0x" + bytes(theirs.hash).hex()
