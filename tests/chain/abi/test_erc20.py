"""Encode and decode calldata and events."""

from typing import Any

import pytest
from eth_abi import encode  # type: ignore[attr-defined] # theirs to export
from hypothesis import given
from hypothesis import strategies as st

from chain.abi.erc20 import (
    TRANSFER_TOPIC,
    decode_transfer_log,
    encode_balance_of,
    encode_transfer,
    payout_calldata,
    reference_of,
    split_payout_calldata,
)
from chain.types import is_address, keccak, to_checksum
from tests.support.receipts import BUYER, TOKEN, WALLET, log

addresses = st.binary(min_size=20, max_size=20).map(lambda raw: to_checksum("0x" + raw.hex()))
amounts = st.integers(min_value=0, max_value=2**256 - 1)


@given(to=addresses, amount=amounts, reference=st.binary(min_size=32, max_size=32))
def test_a_payout_comes_back_as_it_was_built(to: str, amount: int, reference: bytes) -> None:
    data = payout_calldata(to, amount, reference)
    assert split_payout_calldata(data) == (to, amount, reference)
    assert data[:68] == encode_transfer(to, amount)


@given(to=addresses, amount=amounts)
def test_our_encoding_equals_that_of_eth_abi(to: str, amount: int) -> None:
    assert encode_transfer(to, amount)[4:] == encode(["address", "uint256"], [to, amount])
    assert encode_balance_of(to)[4:] == encode(["address"], [to])


@given(st.binary(max_size=140))
def test_other_calldata_is_no_payout(data: bytes) -> None:
    found = split_payout_calldata(data)
    assert found is None or payout_calldata(*found) == data


def test_a_plain_transfer_is_no_payout() -> None:
    assert split_payout_calldata(encode_transfer(BUYER, 1)) is None


def test_dirty_address_bytes_are_no_payout() -> None:
    data = bytearray(payout_calldata(BUYER, 1, b"\1" * 32))
    data[4] = 1
    assert split_payout_calldata(bytes(data)) is None


@pytest.mark.parametrize("amount", [-1, 2**256, True])
def test_an_impossible_amount_is_refused(amount: int) -> None:
    with pytest.raises(ValueError, match="256-bit"):
        encode_transfer(BUYER, amount)


def test_selectors_and_topic_are_the_hashes_of_their_signatures() -> None:
    assert encode_transfer(BUYER, 1)[:4] == keccak(b"transfer(address,uint256)")[:4]
    assert encode_balance_of(BUYER)[:4] == keccak(b"balanceOf(address)")[:4]
    assert keccak(b"Transfer(address,address,uint256)").hex() == TRANSFER_TOPIC[2:]


def test_the_reference_is_the_hash_of_the_session_id() -> None:
    assert reference_of("") == bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")


@given(amount=amounts, sender=addresses, recipient=addresses)
def test_an_event_is_read_exactly(amount: int, sender: str, recipient: str) -> None:
    transfer = decode_transfer_log(log(amount, sender=sender, recipient=recipient))
    assert transfer is not None
    assert (transfer.token, transfer.sender, transfer.recipient, transfer.amount) == (TOKEN, sender, recipient, amount)


@pytest.mark.parametrize(
    "change",
    [
        {"topics": [TRANSFER_TOPIC]},
        {"topics": ["0x" + "00" * 32] * 3},
        {"topics": [TRANSFER_TOPIC, "0x" + "ff" * 32, "0x" + "00" * 32]},
        {"data": "0x"},
        {"data": None},
        {"removed": True},
        {"logIndex": 3},
        {"blockHash": "0x12"},
        {"address": "0x1"},
    ],
)
def test_logs_that_are_not_transfers_are_skipped(change: dict[str, Any]) -> None:
    assert decode_transfer_log({**log(), **change}) is None


@pytest.mark.parametrize(
    "address",
    ["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", TOKEN],
)
def test_checksums_of_the_standard(address: str) -> None:
    assert to_checksum(address.lower()) == address
    assert is_address(address)
    assert is_address("0x" + address[2:].upper())
    assert not is_address(address[:2] + address[2:].swapcase())


@pytest.mark.parametrize("text", ["", "0x", WALLET[:-1], WALLET + "0", WALLET[2:], "0X" + WALLET[2:], WALLET + "\n", 7])
def test_invalid_addresses_are_refused(text: Any) -> None:
    assert not is_address(text)
