"""The one contract that a signer creates, and nothing else by the same intent."""

from dataclasses import replace

import pytest
from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from chain.payonce import FACTORY, init_code
from tests.support.signers import LIMITS
from treasury.signers.intent import DeployIntent, Purpose, SelfTransferIntent
from treasury.signers.protocol import Signer, SignerRefused
from treasury.signers.signed_transaction import is_signed

INTENT = DeployIntent(LIMITS.chain_id, LIMITS.wallet, 7, init_code(), 550_000, 10**9, 10**8)
each = pytest.mark.parametrize("each_signer", ["local", "aws", "gcp", "softhsm"], indirect=True)


@each
async def test_the_pinned_code_goes_to_the_factory_without_value(each_signer: Signer) -> None:
    intent = replace(INTENT, wallet=each_signer.address)
    signed = await each_signer.sign(intent)
    fields = TypedTransaction.from_bytes(HexBytes(signed.raw)).as_dict()
    assert (bytes(fields["to"]), fields["value"]) == (bytes.fromhex(FACTORY[2:]), 0)
    assert bytes(fields["data"]) == bytes(32) + init_code()
    assert (fields["nonce"], fields["gas"]) == (7, 550_000)
    assert Account.recover_transaction(signed.raw) == each_signer.address
    assert is_signed(intent, signed.raw)
    assert not is_signed(replace(intent, nonce=8), signed.raw)


@pytest.mark.parametrize("each_signer", ["local"], indirect=True)
@pytest.mark.parametrize(
    "change",
    [
        {"init_code": b""},
        {"init_code": init_code()[:-1]},
        {"init_code": init_code() + b"\0"},
        {"init_code": init_code()[:-1] + b"\0"},
        {"purpose": Purpose.PAYOUT},
        {"purpose": Purpose.NONCE},
        {"chain_id": 1},
        {"wallet": FACTORY},
        {"gas_limit": 700_001},
        {"max_fee": 10**11},
        {"nonce": -1},
    ],
    ids=str,
)
async def test_anything_else_is_not_signed(each_signer: Signer, change: dict[str, object]) -> None:
    with pytest.raises(SignerRefused, match="Refused to sign"):
        await each_signer.sign(replace(INTENT, **change))  # type: ignore[arg-type] # each by its own name


@pytest.mark.parametrize("each_signer", ["local"], indirect=True)
async def test_the_gas_of_a_deployment_is_for_deployments_alone(each_signer: Signer) -> None:
    with pytest.raises(SignerRefused, match="gas limit"):
        await each_signer.sign(SelfTransferIntent(LIMITS.chain_id, each_signer.address, 3, 550_000, 10**9, 10**8))


def test_the_code_is_not_shown_in_logs() -> None:
    assert init_code().hex() not in repr(INTENT).replace("\\x", "") and "init_code" not in repr(INTENT)
