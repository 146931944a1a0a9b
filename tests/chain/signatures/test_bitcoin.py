"""Bitcoin's signed messages and Mezo Passport's accounts, compared with published examples."""

import base64

import pytest
from coincurve import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from chain.signatures import bitcoin
from chain.signatures.bitcoin import (
    BitcoinAddress,
    BitcoinError,
    account_of,
    check,
    hash_of,
    message_hash,
    parse_address,
)

NATIVE = "This msg was signed with a native SegWit v0 address, the signature header byte therefore is in the range 39-42 (according to BIP 137)."
NESTED = "This message was signed with a P2SH-P2WPKH address, the signature header byte therefore is in the range 35-38 (according to BIP 137)."
# bitcoinjs-message's fixtures, and bitcoinj's `MessageVerifyTest` for the SegWit ones.
PUBLISHED = [
    ("16UwLL9Risc3QfPqBUvKofHmBQ7wMtjvM", "vires is numeris", "G8JawPtQOrybrSP1WHQnQPr67B9S3qrxBrl1mlzoTJOSHEpmnF7D3+t+LX0Xei9J20B5AIdPbeL3AaTBZ4N3bY0="),
    ("1PMycacnJaSqwwJqjawXBErnLsZ7RkXUAs", "vires is numeris", "H8JawPtQOrybrSP1WHQnQPr67B9S3qrxBrl1mlzoTJOSHEpmnF7D3+t+LX0Xei9J20B5AIdPbeL3AaTBZ4N3bY0="),
    ("3JvL6Ymt8MVWiCNHC7oWU6nLeHNJKLZGLN", "vires is numeris", "JF8nHqFr3K2UKYahhX3soVeoW8W1ECNbr0wfck7lzyXjCS5Q16Ek45zyBuy1Fiy9sTPKVgsqqOuPvbycuVSSVl8="),
    ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "vires is numeris", "KF8nHqFr3K2UKYahhX3soVeoW8W1ECNbr0wfck7lzyXjCS5Q16Ek45zyBuy1Fiy9sTPKVgsqqOuPvbycuVSSVl8="),
    ("bc1qvcl0z7f25sf2u8up5wplk7arwclghh7de8fy6l", NATIVE, "KH4/rrraZsPwuuW6pSKVnZVdZXmzLPBOPSS9zz6QLZnTGhO2mHFAs53QLPp94Hahz7kTgNiO6VYZpehMbNHIvNA="),
    ("3HnHC8dJCqixUBFNYXdz2LFXQwvAkkTR3m", NESTED, "I6CwPW9ErVV8SphnQbHnOfYcwcqMdJaZRkym5QHzykpzVw38SrftZFaWoqMl+pvJ92hOyj8PjDOQOT2hDXtk5V0="),
]  # fmt: skip
ONE = PrivateKey((1).to_bytes(32, "big"))
# Of the private key 1, by everybody's tables; bc1qw508... is BIP-173's example.
OF_ONE = {
    "p2pkh": "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH",
    "uncompressed": "1EHNa6Q4Jz2uvNExL497mE43ikXhwF6kZm",
    "p2sh-p2wpkh": "3JvL6Ymt8MVWiCNHC7oWU6nLeHNJKLZGLN",
    "p2wpkh": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
}


def signed(key: PrivateKey, message: str, first: int) -> str:
    raw = key.sign_recoverable(message_hash(message), hasher=None)
    return base64.b64encode(bytes([first + raw[64]]) + raw[:64]).decode()


@pytest.mark.parametrize(("address", "message", "signature"), PUBLISHED)
def test_published_signatures_are_accepted_in_base64_and_hex_and_for_no_other_message(
    address: str, message: str, signature: str
) -> None:
    check(parse_address(address), message, signature)
    check(parse_address(address), message, "0x" + base64.b64decode(signature).hex())
    with pytest.raises(BitcoinError, match=r"Another bitcoin key|No key"):
        check(parse_address(address), message + " ", signature)
    others = [other for other, *_ in PUBLISHED if other != address]
    for other in others:
        with pytest.raises(BitcoinError):
            check(parse_address(other), message, signature)


@pytest.mark.parametrize(
    ("first", "name"),
    [(27, "uncompressed"), (31, "p2pkh"), (31, "p2sh-p2wpkh"), (31, "p2wpkh"), (35, "p2sh-p2wpkh"), (39, "p2wpkh")],
)
def test_each_range_of_headers_signs_for_its_addresses(first: int, name: str) -> None:
    check(parse_address(OF_ONE[name]), "hello", signed(ONE, "hello", first))


@pytest.mark.parametrize(
    ("first", "name"),
    [(27, "p2pkh"), (27, "p2wpkh"), (31, "uncompressed"), (35, "p2pkh"), (35, "p2wpkh"), (39, "p2pkh"), (39, "p2sh-p2wpkh")],
)  # fmt: skip
def test_a_header_of_another_kind_is_refused(first: int, name: str) -> None:
    with pytest.raises(BitcoinError):
        check(parse_address(OF_ONE[name]), "hello", signed(ONE, "hello", first))


def test_an_account_follows_from_its_address_as_on_mezo() -> None:
    # A wallet's record on Mezo testnet: deployed by the relayer in block 15937001,
    # transaction 0xf9e1b5798e3fac160910145b8d2d46356b4b671ef72b55ff02d27b82045ef4e6.
    address = parse_address("bc1q4mutsjmes2wa2zqw9fjszuav4aukuv2n3z0h0s")
    assert account_of(address) == "0x4543ba6E0D1cC63B9eDA1D1E61853A59Cf2ae22D"
    assert parse_address(address.text.upper()) == address


# Published by Mezo with its own library, made there by asking the factory on chain (`predictAddress`): npm's
# @mezo-org/orangekit-smart-account 1.0.0-beta.24-dev.13, src/lib/utils/predictOrangeKitAddress.test.ts.
@pytest.mark.parametrize(
    ("hashed", "account"),
    [
        ("00" * 20, "0xd84C120D84CC795F9b5649594B916A961C64f387"),
        ("ff" * 20, "0x1Ae9407f0FA2f165cC28767750bBCd0219540c62"),
        ("1234567890abcdef1234567890abcdef12345678", "0xc6Dc4b63f691de9ec6E495Fe3b1207C1CABa5370"),
        ("00" * 19 + "ff", "0xF3cD2c9660B19F68d9F4CD99Be10C057ed3A766A"),
    ],
)
def test_an_account_equals_the_factorys_prediction_on_chain(hashed: str, account: str) -> None:
    kinds: tuple[bitcoin.AddressKind, ...] = ("p2pkh", "p2wpkh", "p2sh-p2wpkh")
    for kind in kinds:
        assert account_of(BitcoinAddress("", kind, bytes.fromhex(hashed))) == account
    assert (
        account_of(parse_address("mv4rnyY3Su5gjcDNzbMLKBQkBicCtHUtFB")) == "0x6083Bde64CCBF08470a1a0dAa9a0281B4951be7C"
    )


# The same package's src/lib/bitcoin/tests/data.ts.
@pytest.mark.parametrize(
    ("kind", "address", "key"),
    [
        ("p2wpkh", "bc1qr2gzwarzhv2r2r70v7522w67rt8n6azcklup4z", "0301c3a0b3e1a18d0e04a455e2fbed97d97352cfc35ad272cdc8dcb0fc8dee6707"),
        ("p2wpkh", "tb1qhp6ug4hp3cc84spx3l8sddh8w5ffjujvjycqv5", "03470e65b45464f6945d7a4434cec1d1df61700f21bf0520f0171cfdab313eeaae"),
        ("p2pkh", "15db8HU8AhNaZpX2efV5H5fvJcqmLEgxBB", "03d8d91c7e4eb085e2552aa925607f4b622d703df66ab415d916ad90dac1d44369"),
        ("p2pkh", "17Nb9dw9yFUPfQTzbFjxk4PzfHqepF3BRF",
         ("04811b8ba90b12d4db6066dd8cdadb71bda593d1164cd68e909b9a457b946da0fa"
          "21750060c9305ccf847918a983301e355d4c3a5927ebb0361def785ef7587efb")),
        ("p2sh-p2wpkh", "3PqcLLkJ2CDrCXpNbfdmkkPN8PUibE9EVG", "0385a365b47f35aff49fdf53cd0b31ab25dec1ef7a4ee3c9d3060ff298ba448d71"),
        ("p2sh-p2wpkh", "2N1gqKvdCoFyCpUxsF6HuP2DunnEQRnfuuU", "03246de9b5fd955ceba6bcc90d85697b1a74ff8230eef6a1b1a1169ae53b80695d"),
    ],
)  # fmt: skip
def test_an_address_follows_from_its_key(kind: bitcoin.AddressKind, address: str, key: str) -> None:
    assert parse_address(address) == BitcoinAddress(address, kind, hash_of(bytes.fromhex(key), kind))


def test_both_networks_write_the_same_key() -> None:
    # BIP-173's examples of one key on either network.
    main, test = parse_address(OF_ONE["p2wpkh"]), parse_address("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx")
    assert account_of(main) == account_of(test)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr", "Taproot"),
        ("bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3", "script"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "checksum"),
        ("bc1qW508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "capitals"),
        ("1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMJ", "checksum"),
        ("LZGLN", "checksum"),
        ("", "checksum"),
        ("bc1", "mistyped"),
        ("not an address", "neither"),
        ("1" * 200, "too long"),
    ],
)
def test_an_address_that_no_passport_has_is_refused_with_a_sentence(text: str, word: str) -> None:
    with pytest.raises(BitcoinError, match=word):
        parse_address(text)


@pytest.mark.parametrize(
    "text",
    [
        # BIP-322's own example of a simple signature for "Hello World".
        "AkcwRAIgZRfIY3p7/DoVTty6YZbWS71bc5Vct9p9Fia83eRmw2QCICK/ENGfwLtptFluMGs2KsqoNSk89pO7F29zJLUx9a/sASECx/EgAxlkQpQ9hYjgGu6EBCPMVPwVIVJqO4XCsMvViHI=",
        base64.b64encode(b"\x01\x40" + b"\x05" * 64).decode(),
    ],
)
def test_bip_322_is_refused_with_what_to_do(text: str) -> None:
    with pytest.raises(BitcoinError, match="ECDSA"):
        check(parse_address(OF_ONE["p2wpkh"]), "Hello World", text)


@given(st.text(max_size=100))
def test_no_text_breaks_the_address_parser(text: str) -> None:
    try:
        parse_address(text)
    except BitcoinError:
        return


@given(st.one_of(st.binary(max_size=80).map(lambda raw: base64.b64encode(raw).decode()), st.text(max_size=90)))
def test_no_signature_is_accepted_by_chance_and_none_breaks(text: str) -> None:
    with pytest.raises(BitcoinError):
        check(parse_address(OF_ONE["p2wpkh"]), "hello", text)


def test_a_long_message_is_counted_as_bitcoin_counts() -> None:
    for size in (252, 253, 300, 65_536):
        check(parse_address(OF_ONE["p2wpkh"]), "x" * size, signed(ONE, "x" * size, 39))
    # bitcoinjs-message's fixture for a message longer than one byte can count.
    assert bitcoin.encode_length(300) == b"\xfd\x2c\x01"
