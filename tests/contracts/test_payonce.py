"""PayOnce on the real node: each claim of docs/payonce.md that one transaction can show, with MUSD and with hostile tokens."""

import itertools
from collections.abc import Iterable

import pytest

from chain.abi.payonce import AlreadyPaid, Failed, Paid, Payment, encode_pay
from chain.abi.words import WORD
from chain.types import ZERO_ADDRESS, address_bytes, keccak, to_checksum, to_hex
from tests.support.payonce_chain import BLOCKED, TOKENS, PayOnceChain, calldata

_numbers = itertools.count(1)
GOOD = to_checksum("0x" + "600d" * 10)


def reference() -> bytes:
    return keccak(b"reference %d" % next(_numbers))


def recipient() -> str:
    return to_checksum(to_hex(keccak(b"recipient %d" % next(_numbers))[12:]))


async def test_a_batch_pays_each_recipient_and_says_so(payonce: PayOnceChain) -> None:
    payer = payonce.payers[0]
    await payonce.approve("MUSD", payer)
    payments = [Payment(reference(), recipient(), 10 + place) for place in range(3)]
    before = await payonce.balance("MUSD", payer)
    outcome = await payonce.call(payer, encode_pay(payonce.tokens["MUSD"], payments))
    assert outcome.succeeded
    assert outcome.events == tuple(
        Paid(payer, payment.reference, payment.to, payonce.tokens["MUSD"], payment.amount) for payment in payments
    )
    assert [await payonce.balance("MUSD", payment.to) for payment in payments] == [10, 11, 12]
    assert await payonce.balance("MUSD", payer) == before - 33
    assert [await payonce.paid(payer, payment.reference) for payment in payments] == [outcome.block] * 3


async def test_a_reference_is_paid_once_whatever_else_the_second_payment_says(payonce: PayOnceChain) -> None:
    payer, once, other = payonce.payers[0], reference(), reference()
    await payonce.approve("MUSD", payer)
    await payonce.approve("GoodToken", payer)
    first = await payonce.pay("MUSD", payer, [Payment(once, GOOD, 5)])
    before = await payonce.balance("MUSD", payer), await payonce.balance("GoodToken", payer)
    mixed = await payonce.pay("MUSD", payer, [Payment(once, recipient(), 7), Payment(other, GOOD, 1)])
    alone = await payonce.pay("GoodToken", payer, [Payment(once, GOOD, 5)])
    assert mixed.kinds == "ap"
    assert mixed.events[0] == AlreadyPaid(payer, once, first.block)
    assert (alone.succeeded, alone.events) == (True, (AlreadyPaid(payer, once, first.block),))
    after = await payonce.balance("MUSD", payer), await payonce.balance("GoodToken", payer)
    assert after == (before[0] - 1, before[1])


async def test_a_reference_twice_in_a_batch_is_paid_once(payonce: PayOnceChain) -> None:
    payer, once, to = payonce.payers[0], reference(), recipient()
    await payonce.approve("MUSD", payer)
    assert (await payonce.pay("MUSD", payer, [Payment(once, to, 5)] * 3)).kinds == "paa"
    assert await payonce.balance("MUSD", to) == 5


async def test_payers_do_not_share_references(payonce: PayOnceChain) -> None:
    once = reference()
    for payer in payonce.payers:
        await payonce.approve("MUSD", payer)
        assert (await payonce.pay("MUSD", payer, [Payment(once, GOOD, 1)])).kinds == "p"


async def test_only_the_callers_tokens_move(payonce: PayOnceChain) -> None:
    rich, poor = payonce.payers[:2]
    await payonce.approve("MUSD", rich)
    await payonce.approve("MUSD", poor, 0)
    before = await payonce.balance("MUSD", rich)
    assert (await payonce.pay("MUSD", poor, [Payment(reference(), poor, 5)])).kinds == "f"
    selector = keccak(b"payOne(address,address,(bytes32,address,uint256))")[:4]
    words = b"".join(address_bytes(word).rjust(WORD, b"\0") for word in (rich, payonce.tokens["MUSD"]))
    data = selector + words + calldata(ZERO_ADDRESS, [Payment(reference(), poor, 5)])[4 + 3 * WORD :]
    assert not (await payonce.call(poor, data)).succeeded
    assert await payonce.balance("MUSD", rich) == before


@pytest.mark.parametrize("name", ["MUSD", *TOKENS])
async def test_one_bad_recipient_fails_alone(payonce: PayOnceChain, name: str) -> None:
    """Whatever the token does about it: the coins of the failed payment have not moved, and its reference is free."""
    payer, bad = payonce.payers[0], ZERO_ADDRESS if name == "MUSD" else BLOCKED
    await payonce.approve(name, payer)
    payments = [Payment(reference(), to, 20) for to in (GOOD, bad, GOOD, bad)]
    payments[3] = Payment(payments[3].reference, bad, 21)
    before = [await payonce.balance(name, holder) for holder in (payer, bad)]
    outcome = await payonce.pay(name, payer, payments)
    after = [await payonce.balance(name, holder) for holder in (payer, bad)]
    assert outcome.succeeded
    if name == "Reentrant":  # it calls back, in vain, and pays all the same
        assert (outcome.kinds, after) == ("pppp", [before[0] - 81, before[1] + 41])
        return
    assert outcome.kinds == "pfpf"
    assert outcome.events[1] == Failed(payer, payments[1].reference)
    assert after == [before[0] - 40, before[1]]
    assert await payonce.paid(payer, payments[1].reference) == 0
    again = [Payment(payments[1].reference, GOOD, 20), payments[0]]
    assert (await payonce.pay(name, payer, again)).kinds == "pa"


async def test_a_token_that_calls_back_pays_nothing_twice(payonce: PayOnceChain) -> None:
    payer, once = payonce.payers[0], int(BLOCKED, 16).to_bytes(WORD, "big")
    await payonce.approve("Reentrant", payer)
    before = await payonce.balance("Reentrant", payer)
    assert (await payonce.pay("Reentrant", payer, [Payment(once, BLOCKED, 3)])).kinds == "p"
    assert await payonce.balance("Reentrant", payer) == before - 3
    assert await payonce.paid(payonce.tokens["Reentrant"], once) == 0


async def test_of_a_token_with_a_fee_the_payer_pays_the_amount_and_the_recipient_gets_less(
    payonce: PayOnceChain,
) -> None:
    payer, to = payonce.payers[0], recipient()
    await payonce.approve("FeeToken", payer)
    before = await payonce.balance("FeeToken", payer)
    outcome = await payonce.pay("FeeToken", payer, [Payment(reference(), to, 100)])
    assert [event.amount for event in outcome.events if isinstance(event, Paid)] == [100]
    assert (await payonce.balance("FeeToken", payer), await payonce.balance("FeeToken", to)) == (before - 100, 90)


@pytest.mark.parametrize(
    ("name", "limits"),
    [("MUSD", range(30_000, 330_000, 9_973)), ("HeavyToken", range(165_000, 200_000, 300)), ("HeavyToken", [500_000])],
)
async def test_too_little_gas_fails_the_transaction_and_never_a_payment(
    payonce: PayOnceChain, name: str, limits: Iterable[int]
) -> None:
    """At every gas limit the batch either reverts as a whole or pays; also where what EIP-150 keeps back is enough to report a failure."""
    payer = payonce.payers[0]
    await payonce.approve(name, payer)
    for gas in limits:
        payments = [Payment(reference(), recipient(), 1) for _ in range(2 if name == "MUSD" else 1)]
        outcome = await payonce.pay(name, payer, payments, gas)
        assert (outcome.succeeded, outcome.kinds) in {(False, ""), (True, "p" * len(payments))}
        assert (await payonce.paid(payer, payments[0].reference) > 0) == outcome.succeeded
        assert not outcome.succeeded or gas >= 160_000
    plenty = await payonce.pay(name, payer, [Payment(reference(), recipient(), 1)], 300_000)
    assert (plenty.succeeded, plenty.kinds) == (True, "p")


async def test_a_payment_that_burns_its_gas_leaves_the_others_theirs(payonce: PayOnceChain) -> None:
    payer = payonce.payers[0]
    await payonce.approve("GasBurner", payer)
    payments = [Payment(reference(), BLOCKED, 1) for _ in range(20)] + [Payment(reference(), GOOD, 1)]
    outcome = await payonce.pay("GasBurner", payer, payments)
    assert outcome.kinds == "f" * 20 + "p"
    assert outcome.gas < 20 * 160_000 + 120_000


@pytest.mark.parametrize("token", ["no code", "PayOnce itself"])
async def test_what_is_not_a_token_pays_nothing(payonce: PayOnceChain, token: str) -> None:
    address = GOOD if token == "no code" else payonce.contract
    outcome = await payonce.call(payonce.payers[0], calldata(address, [Payment(reference(), GOOD, 1)]))
    assert (outcome.succeeded, outcome.kinds) == ((False, "") if token == "no code" else (True, "f"))


async def test_no_ether_is_accepted(payonce: PayOnceChain) -> None:
    batch = calldata(payonce.tokens["MUSD"], [Payment(reference(), GOOD, 1)])
    for data in (b"", batch):
        assert not (await payonce.call(payonce.payers[0], data, value=1)).succeeded
    assert int(await payonce.chain.rpc("eth_getBalance", payonce.contract, "latest"), 16) == 0


@pytest.mark.parametrize("place", [4, 4 + 3 * WORD + WORD])
async def test_an_address_with_dirty_bytes_is_refused(payonce: PayOnceChain, place: int) -> None:
    data = bytearray(calldata(payonce.tokens["MUSD"], [Payment(reference(), GOOD, 1)]))
    data[place] = 1
    assert not (await payonce.call(payonce.payers[0], bytes(data))).succeeded


async def test_a_payment_in_a_batch_of_a_hundred_costs_what_a_transfer_alone_does(payonce: PayOnceChain) -> None:
    """At most a twentieth more, both to new holders."""
    payer, musd = payonce.payers[2], payonce.tokens["MUSD"]
    await payonce.approve("MUSD", payer)
    transfer = (
        bytes.fromhex("a9059cbb") + address_bytes(recipient()).rjust(WORD, b"\0") + (10**18).to_bytes(WORD, "big")
    )
    await payonce.mint("MUSD", payer, 200 * 10**18)
    alone = int((await payonce.send(payer, musd, transfer + reference()))["gasUsed"], 16)
    outcome = await payonce.pay("MUSD", payer, [Payment(reference(), recipient(), 10**18) for _ in range(100)])
    assert outcome.kinds == "p" * 100
    assert outcome.gas / 100 <= 1.05 * alone
