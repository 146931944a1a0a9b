"""The clouds' official SDKs against fakes of their wire protocols, with every fault that may come back."""

import asyncio
from dataclasses import replace

import pytest
from eth_account import Account

from onramp.dev.kms.gcp import KEY_VERSION
from onramp.dev.kms.server import DevKey
from tests.support.hot_wallet import KEY, WALLET
from tests.support.signers import INTENT, Rig
from treasury.signers.aws import AwsKms
from treasury.signers.gcp import GcpKms, is_loopback
from treasury.signers.protocol import SignerRefused, SignerUnavailable
from treasury.signers.remote import DEADLINE_SECONDS, RemoteSigner, SignerThrottled, decode_der
from treasury.signers.signed_transaction import CURVE_ORDER, assemble, signing_hash

both = pytest.mark.parametrize("cloud", ["aws", "gcp"])


@pytest.fixture
def rig(request: pytest.FixtureRequest, cloud: str) -> Rig:
    found: Rig = request.getfixturevalue(cloud)
    return found


@both
async def test_the_same_intent_signed_twice_gives_two_transactions(rig: Rig) -> None:
    first, other = await rig.signer.sign(INTENT), await rig.signer.sign(INTENT)
    assert first.hash != other.hash, "why bytes are stored before they are used"
    assert Account.recover_transaction(first.raw) == Account.recover_transaction(other.raw) == WALLET


@both
@pytest.mark.parametrize("fault", ["high_s", "short"])
async def test_odd_but_true_signatures_become_what_nodes_take(rig: Rig, fault: str) -> None:
    setattr(rig.key.faults, fault, True)
    for nonce in range(3):
        signed = await rig.signer.sign(replace(INTENT, nonce=nonce))
        assert Account.recover_transaction(signed.raw) == WALLET


@both
@pytest.mark.parametrize("fault", ["double_hash", "garbage"])
async def test_a_signature_of_something_else_is_thrown_away(rig: Rig, fault: str) -> None:
    setattr(rig.key.faults, fault, True)
    with pytest.raises(SignerRefused):
        await rig.signer.sign(INTENT)


@both
async def test_another_key_is_detected_before_and_after_the_first_check(rig: Rig) -> None:
    rig.key.faults.wrong_key = True
    with pytest.raises(SignerRefused, match="another key"):
        await rig.signer.probe()
    with pytest.raises(SignerRefused, match="another key"):
        await rig.signer.sign(INTENT)
    assert rig.key.signatures == 0
    rig.key.faults.wrong_key = False
    await rig.signer.sign(INTENT)
    rig.key.faults.wrong_key = True
    with pytest.raises(SignerRefused, match="pinned address"):
        await rig.signer.sign(INTENT)


@both
@pytest.mark.parametrize("fault", ["disabled", "denied", "another_curve"])
async def test_a_key_that_cannot_sign_is_named_by_the_probe(rig: Rig, fault: str) -> None:
    setattr(rig.key.faults, fault, True)
    with pytest.raises(SignerRefused) as raised:
        await rig.signer.probe()
    assert str(raised.value).endswith(".")
    assert rig.key.signatures == 0


@both
async def test_throttling_is_waited_out(rig: Rig) -> None:
    await rig.signer.probe()
    rig.key.faults.throttle = 4
    await rig.signer.sign(INTENT)


@both
async def test_endless_throttling_fails_in_time(rig: Rig) -> None:
    await rig.signer.probe()
    rig.key.faults.throttle = 10_000
    before = rig.key.requests
    with pytest.raises(SignerThrottled):
        await rig.signer.sign(INTENT)
    assert rig.key.requests - before < 10 * DEADLINE_SECONDS


@both
@pytest.mark.parametrize("fault", ["lose_reply", "internal_error"])
async def test_a_lost_reply_is_not_known_as_a_refusal(rig: Rig, fault: str) -> None:
    await rig.signer.probe()
    setattr(rig.key.faults, fault, 1)
    with pytest.raises(SignerUnavailable):
        await rig.signer.sign(INTENT)
    assert rig.key.signatures == (1 if fault == "lose_reply" else 0), "signed once, and never twice by itself"
    await rig.signer.sign(INTENT)


@both
async def test_many_signatures_at_once(rig: Rig) -> None:
    rig.key.faults.delay = 0.1
    signed = await asyncio.gather(*(rig.signer.sign(replace(INTENT, nonce=nonce)) for nonce in range(16)))
    assert {Account.recover_transaction(entry.raw) for entry in signed} == {WALLET}


@pytest.mark.parametrize("fault", ["bad_crc", "unverified", "other_name"])
async def test_a_reply_that_does_not_prove_itself_is_thrown_away(gcp: Rig, fault: str) -> None:
    await gcp.signer.probe()
    setattr(gcp.key.faults, fault, True)
    with pytest.raises(SignerUnavailable, match="corrupted in transit"):
        await gcp.signer.sign(INTENT)


async def test_a_key_in_software_is_refused_where_hardware_is_asked_for(gcp: Rig) -> None:
    gcp.key.faults.software = True
    with pytest.raises(SignerRefused, match="hardware"):
        await gcp.keys.public_key()
    lenient = GcpKms(KEY_VERSION, endpoint=gcp.endpoint, require_hsm=False)
    await lenient.public_key()
    await lenient.close()


async def test_aws_is_asked_for_a_digest_and_proves_permission_without_signing(aws: Rig) -> None:
    await aws.signer.probe()
    assert aws.key.signatures == 0
    assert aws.key.last_request["MessageType"] == "DIGEST"
    assert aws.key.last_request["DryRun"] is True


async def test_aws_that_cannot_be_reached_is_unavailable(aws: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9")
    keys = AwsKms("alias/onramp-development")
    with pytest.raises(SignerUnavailable):
        await keys.public_key()
    await keys.close()


async def test_google_that_cannot_be_reached_is_unavailable() -> None:
    keys = GcpKms("projects/x", endpoint="127.0.0.1:9")
    with pytest.raises(SignerUnavailable):
        await keys.public_key()
    await keys.close()


@pytest.mark.parametrize(
    ("endpoint", "clear"),
    [("127.0.0.1:80", True), ("[::1]:80", True), ("kms.example:443", False), ("127.0.0.1.evil.test:80", False)],
)
def test_only_this_machine_is_spoken_to_in_clear(endpoint: str, clear: bool) -> None:
    assert is_loopback(endpoint) == clear


def test_no_signer_shows_its_key(aws: Rig) -> None:
    assert KEY.hex() not in repr(aws) + repr(aws.signer) + repr(DevKey(KEY))
    assert isinstance(aws.signer, RemoteSigner)


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\x06\x02\x01\x01\x02\x01", b"\x30\x80" + bytes(20), bytes(72)])
def test_invalid_der_is_refused(der: bytes) -> None:
    with pytest.raises(SignerRefused):
        decode_der(der)


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (CURVE_ORDER, 1), (1, CURVE_ORDER), (-1, 1), (1, 2**300)])
def test_numbers_outside_the_curve_are_refused(r: int, s: int) -> None:
    assert len(signing_hash(INTENT)) == 32
    with pytest.raises(SignerRefused):
        assemble(INTENT, r, s, "none")
