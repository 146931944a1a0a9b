"""ABI decoding of what contracts and strangers send, and our own encoding compared with eth-abi."""

import time

import pytest
from eth_abi.abi import decode, encode
from hypothesis import given
from hypothesis import strategies as st

from chain.abi.decoding import decode_values
from chain.abi.erc20 import decode_string
from chain.abi.words import address_word, decode_uint, uint256_word
from chain.types import to_checksum

WORD = 32


def word(number: int) -> bytes:
    return number.to_bytes(WORD, "big")


@given(st.integers(0, 2**256 - 1), st.binary(min_size=20, max_size=20))
def test_encoded_words_equal_those_of_eth_abi(number: int, raw: bytes) -> None:
    address = to_checksum("0x" + raw.hex())
    assert uint256_word(number) == encode(["uint256"], [number])
    assert address_word(address) == encode(["address"], [address])
    assert decode_uint(uint256_word(number)) == decode(["uint256"], uint256_word(number))[0] == number


@pytest.mark.parametrize("number", [-1, 2**256, True])
def test_a_value_that_does_not_fit_in_a_word_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="256-bit"):
        uint256_word(number)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_values_come_back_as_they_were_encoded(first: bytes, second: bytes) -> None:
    assert decode_values(["bytes", "bytes"], encode(["bytes", "bytes"], [first, second])) == (first, second)


HOSTILE = {
    "nothing": b"",
    "half a word": b"\1" * 16,
    "an offset beyond the data": word(64),
    "an offset that no address space has": word(2**255),
    "an offset of half of it": word(2**63),
    "a length beyond the data": word(32) + word(1000),
    "a length that no memory has": word(32) + word(2**255),
    "a length without its bytes": word(32) + word(32),
    "bytes without padding": word(32) + word(33) + b"x" * 33,
    "bytes with dirty padding": word(32) + word(31) + b"x" * 32,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_offsets_and_lengths_are_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="not the ABI encoding"):
        decode_values(["bytes"], data)
    assert len(data) == WORD or decode_string(data) == ""


@given(st.binary(max_size=400))
def test_no_data_breaks_the_decoder(data: bytes) -> None:
    try:
        decode_values(["uint256", "bytes", "bytes"], data)
    except ValueError:
        return


def test_the_work_is_bounded_by_the_length_of_the_data() -> None:
    data = word(64) + word(64) + word(16 * 1024) + bytes(16 * 1024)
    began = time.process_time()
    for _ in range(20):
        decode_values(["bytes", "bytes"], data)
    assert time.process_time() - began < 1


def test_a_string_is_read_as_the_standard_writes_it_and_as_some_old_tokens_do() -> None:
    assert decode_string(encode(["string"], ["MUSD"])) == "MUSD"
    assert decode_string(b"MKR".ljust(32, b"\0")) == "MKR"
    assert decode_string(encode(["bytes"], [b"\xff"])) == "\ufffd"
