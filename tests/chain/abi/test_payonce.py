"""Calldata and events of PayOnce: there and back, the library's encoding, and nothing else."""

import pytest
from eth_abi import encode  # type: ignore[attr-defined] # theirs to export
from hypothesis import given
from hypothesis import strategies as st

from chain.abi import erc20, payonce
from chain.abi.payonce import AlreadyPaid, Failed, Paid, Payment, decode_event, decode_pay, encode_pay
from chain.payonce import artefact
from chain.types import ZERO_ADDRESS, keccak, to_checksum, to_hex

TOKEN = to_checksum("0x" + "70" * 20)
PAYER = to_checksum("0x" + "0a" * 20)
BUYER = to_checksum("0x" + "bb" * 20)
REFERENCE = b"\x11" * 32
words = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20).filter(any).map(lambda raw: to_checksum("0x" + raw.hex()))
amounts = st.integers(1, 2**256 - 1)
batches = st.lists(
    st.builds(Payment, words, addresses, amounts), min_size=1, max_size=5, unique_by=lambda payment: payment.reference
)
BATCH = encode_pay(TOKEN, [Payment(REFERENCE, BUYER, 5), Payment(b"\x22" * 32, PAYER, 6)])


def topic(address: str) -> str:
    return "0x" + address[2:].lower().rjust(64, "0")


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


@given(token=addresses, payments=batches)
def test_a_batch_is_encoded_as_the_library_does_and_comes_back(token: str, payments: list[Payment]) -> None:
    data = encode_pay(token, payments)
    rows = [(payment.reference, payment.to, payment.amount) for payment in payments]
    selector = keccak(b"pay(address,(bytes32,address,uint256)[])")[:4]
    assert data == selector + encode(["address", "(bytes32,address,uint256)[]"], [token, rows])
    assert decode_pay(data) == (token, tuple(payments))


@given(payer=addresses, reference=words, amount=st.integers(0, 2**256 - 1))
def test_the_other_calls_are_encoded_as_the_library_does_and_come_back(
    payer: str, reference: bytes, amount: int
) -> None:
    paid = payonce.encode_paid(payer, reference)
    assert paid == keccak(b"paid(address,bytes32)")[:4] + encode(["address", "bytes32"], [payer, reference])
    assert payonce.decode_paid(paid) == (payer, reference)
    approve = erc20.encode_approve(payer, amount)
    assert approve == keccak(b"approve(address,uint256)")[:4] + encode(["address", "uint256"], [payer, amount])
    assert erc20.decode_approve(approve) == (payer, amount)
    allowance = erc20.encode_allowance(payer, TOKEN)
    assert allowance == keccak(b"allowance(address,address)")[:4] + encode(["address", "address"], [payer, TOKEN])


@given(place=st.integers(0, len(BATCH) - 1), mask=st.integers(1, 255))
def test_a_changed_byte_is_another_batch_or_none(place: int, mask: int) -> None:
    data = bytearray(BATCH)
    data[place] ^= mask
    try:
        decoded = decode_pay(bytes(data))
    except ValueError:
        return
    assert encode_pay(*decoded) == data != BATCH


@pytest.mark.parametrize(
    "data",
    [
        b"",
        BATCH[:-1],
        BATCH + b"\0",
        BATCH + bytes(32),
        BATCH + bytes(96),
        BATCH[:4] + b"\x01" + BATCH[5:],
        BATCH[:36] + word(96) + word(0) + BATCH[68:],
        BATCH[:68] + word(1) + BATCH[100:],
        encode_pay(TOKEN, [Payment(REFERENCE, BUYER, 5)])[:100],
    ],
    ids=["empty", "short", "a byte more", "a word more", "an entry more", "dirty token", "other offset", "other length", "no payment"],
)  # fmt: skip
def test_calldata_that_the_encoder_does_not_write_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode_pay(data)


@pytest.mark.parametrize(
    "payments",
    [
        [],
        [Payment(REFERENCE, BUYER, 1), Payment(REFERENCE, PAYER, 2)],
        [Payment(REFERENCE, BUYER, 0)],
        [Payment(REFERENCE, ZERO_ADDRESS, 1)],
        [Payment(REFERENCE[1:], BUYER, 1)],
        [Payment(REFERENCE, BUYER, 2**256)],
        [Payment(REFERENCE, "0x12", 1)],
    ],
)
def test_a_batch_that_makes_no_sense_is_not_encoded(payments: list[Payment]) -> None:
    with pytest.raises(ValueError):
        encode_pay(TOKEN, payments)


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 68, erc20.encode_approve(BUYER, 1) + b"\0", erc20.encode_approve(BUYER, 1)[:-1]]
)
def test_other_calldata_is_no_approval_and_no_question(data: bytes) -> None:
    with pytest.raises(ValueError, match="not the calldata"):
        erc20.decode_approve(data)
    with pytest.raises(ValueError, match="not the calldata"):
        payonce.decode_paid(data)


def test_dirty_address_bytes_are_refused() -> None:
    approve, paid = bytearray(erc20.encode_approve(BUYER, 1)), bytearray(payonce.encode_paid(PAYER, REFERENCE))
    approve[4] = paid[4] = 1
    with pytest.raises(ValueError, match="not the calldata"):
        erc20.decode_approve(bytes(approve))
    with pytest.raises(ValueError, match="must be zero"):
        payonce.decode_paid(bytes(paid))


EVENTS = [
    ([payonce.PAID_TOPIC, topic(PAYER), to_hex(REFERENCE), topic(BUYER)], bytes(12) + b"\x70" * 20 + word(5),
     Paid(PAYER, REFERENCE, BUYER, TOKEN, 5)),
    ([payonce.FAILED_TOPIC, topic(PAYER), to_hex(REFERENCE)], b"", Failed(PAYER, REFERENCE)),
    ([payonce.ALREADY_PAID_TOPIC, topic(PAYER), to_hex(REFERENCE)], word(7), AlreadyPaid(PAYER, REFERENCE, 7)),
]  # fmt: skip


@pytest.mark.parametrize(("topics", "data", "event"), EVENTS)
def test_events_are_decoded_and_malformed_ones_refused(topics: list[str], data: bytes, event: object) -> None:
    assert decode_event(topics, data) == event
    dirty = [topics[0], "0x01" + topics[1][4:], *topics[2:]]
    for wrong in ((topics[:-1], data), ([*topics, topics[1]], data), (topics, data + b"\0"), (dirty, data)):
        with pytest.raises(ValueError):
            decode_event(*wrong)


@pytest.mark.parametrize("topics", [[], [erc20.TRANSFER_TOPIC], ["0x" + "00" * 32, topic(PAYER), to_hex(REFERENCE)]])
def test_other_events_are_none_of_ours(topics: list[str]) -> None:
    assert decode_event(topics, b"") is None


def test_the_topics_are_those_of_the_contract() -> None:
    events = {
        "0x" + keccak(f"{entry['name']}({','.join(field['type'] for field in entry['inputs'])})".encode()).hex()
        for entry in artefact()["abi"]
        if entry["type"] == "event"
    }
    assert events == {payonce.PAID_TOPIC, payonce.FAILED_TOPIC, payonce.ALREADY_PAID_TOPIC}
