"""The one contract that may be approved to move the wallet's token, and nothing else by the same intent."""

from dataclasses import replace

import pytest
from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from chain.abi.erc20 import decode_approve
from chain.payonce import ADDRESS, FACTORY
from tests.support.hot_wallet import BUYER, MUSD, SAFE
from tests.support.signers import LIMITS
from treasury.signers.intent import ApproveIntent, Purpose
from treasury.signers.protocol import Signer, SignerRefused
from treasury.signers.signed_transaction import is_signed

INTENT = ApproveIntent(LIMITS.chain_id, LIMITS.wallet, 7, LIMITS.token, ADDRESS, 500 * MUSD, 60_000, 10**9, 10**8)
each = pytest.mark.parametrize("each_signer", ["local", "aws", "gcp", "softhsm"], indirect=True)


@each
@pytest.mark.parametrize("amount", [0, 500 * MUSD, 2**256 - 1], ids=["revoked", "limited", "unlimited"])
async def test_the_approval_goes_to_the_token_without_value(each_signer: Signer, amount: int) -> None:
    intent = replace(INTENT, wallet=each_signer.address, amount=amount)
    signed = await each_signer.sign(intent)
    fields = TypedTransaction.from_bytes(HexBytes(signed.raw)).as_dict()
    assert (bytes(fields["to"]), fields["value"]) == (bytes.fromhex(LIMITS.token[2:]), 0)
    assert decode_approve(bytes(fields["data"])) == (ADDRESS, amount)
    assert (fields["nonce"], fields["gas"]) == (7, 60_000)
    assert Account.recover_transaction(signed.raw) == each_signer.address
    assert is_signed(intent, signed.raw)
    assert not is_signed(replace(intent, amount=amount ^ 1), signed.raw)


@pytest.mark.parametrize("each_signer", ["local"], indirect=True)
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"spender": BUYER}, "is not PayOnce"),
        ({"spender": FACTORY}, "is not PayOnce"),
        ({"spender": SAFE}, "is not PayOnce"),
        ({"token": BUYER}, "token"),
        ({"token": ADDRESS}, "token"),
        ({"amount": -1}, "not a 256-bit number"),
        ({"amount": 2**256}, "not a 256-bit number"),
        ({"purpose": Purpose.PAYOUT}, "another purpose"),
        ({"purpose": Purpose.SWEEP}, "another purpose"),
        ({"purpose": Purpose.RESTORE}, "another purpose"),
        ({"chain_id": 1}, "chain 1"),
        ({"wallet": FACTORY}, "wallet"),
        ({"gas_limit": 200_001}, "gas limit"),
        ({"gas_limit": 0}, "gas limit"),
        ({"max_fee": 10**11}, "above the ceiling"),
        ({"priority_fee": 10**10}, "tip"),
        ({"nonce": -1}, "nonce"),
    ],
    ids=str,
)
async def test_anything_else_is_not_signed(each_signer: Signer, change: dict[str, object], says: str) -> None:
    with pytest.raises(SignerRefused, match=f"Refused to sign: .*{says}"):
        await each_signer.sign(replace(INTENT, **change))  # type: ignore[arg-type] # each by its own name
