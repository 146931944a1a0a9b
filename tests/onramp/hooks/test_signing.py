"""The official library of Standard Webhooks verifies what we send, during and after a rotation, and with clocks that are apart."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from kit.db.database import Database
from onramp.hooks import service as hooks_service
from onramp.hooks.signing import Secrets, new_secret, signed_headers
from tests.support.hooks_world import RING, HooksWorld, Received

BODY = b'{"type":"session.completed","timestamp":"2026-11-21T00:00:00.000Z","data":{"reference":"\xc3\xa9"}}'


@pytest.fixture
def world(database: Database) -> HooksWorld:
    world = HooksWorld(database)
    # The library compares with the machine's own clock.
    world.clock.epoch = datetime.now(UTC)
    return world


def verifies(secret: str, request: Received) -> bool:
    try:
        Webhook(secret).verify(request.body.decode(), dict(request.headers))
    except WebhookVerificationError:
        return False
    return True


async def rotate(world: HooksWorld, overlap: timedelta) -> str:
    async with world.database.write() as conn:
        _, secret = await hooks_service.rotate(
            conn, RING, "whk_a", overlap=overlap, by="key_admin", now=world.clock.now()
        )
    return secret


def test_the_example_of_the_specification_has_its_signature() -> None:
    # https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    now = datetime.fromtimestamp(1614265330, UTC)
    headers = signed_headers(Secrets([secret]), "msg_p5jXN8AQM9LWM0D4loKWxJek", now, body)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("minutes", [-4.9, 0, 4.9])
def test_a_receiver_whose_clock_is_five_minutes_apart_accepts_the_signature(minutes: float) -> None:
    secret, now = new_secret(), datetime.now(UTC) + timedelta(minutes=minutes)
    request = Received("", signed_headers(Secrets([secret]), "msg_1", now, BODY), BODY, now)
    assert verifies(secret, request)
    assert not verifies(new_secret(), request)


def test_another_body_id_or_time_is_not_what_was_signed() -> None:
    secret, now = new_secret(), datetime.now(UTC)
    headers = signed_headers(Secrets([secret]), "msg_1", now, BODY)
    assert not verifies(secret, Received("", headers, BODY + b" ", now))
    assert not verifies(secret, Received("", headers | {"webhook-id": "msg_2"}, BODY, now))
    assert not verifies(secret, Received("", headers | {"webhook-timestamp": str(int(now.timestamp()) - 1)}, BODY, now))


async def test_both_secrets_sign_while_a_rotation_overlaps(world: HooksWorld) -> None:
    _, old = await world.add("a")
    new = await rotate(world, timedelta(hours=1))
    newest = await rotate(world, timedelta(hours=2))
    await world.emit()
    await world.send()
    request = world.receivers.received[-1]
    assert all(verifies(secret, request) for secret in (old, new, newest))
    await rotate(world, timedelta(0))
    await world.emit()
    await world.send()
    assert not any(verifies(secret, world.receivers.received[-1]) for secret in (old, new, newest))


async def test_a_rotation_ends_by_itself(world: HooksWorld) -> None:
    _, old = await world.add("a")
    new = await rotate(world, timedelta(seconds=30))
    for seconds, accepted in ((29, True), (2, False)):
        world.clock.advance(seconds)
        await world.emit()
        await world.send()
        assert verifies(old, world.receivers.received[-1]) is accepted
        assert verifies(new, world.receivers.received[-1])


async def test_an_endpoint_with_ed25519_is_verified_by_its_public_key_alone(world: HooksWorld) -> None:
    endpoint, secret = await world.add("a", ed25519=True)
    assert endpoint.public_key is not None and endpoint.public_key.startswith("whpk_")
    await world.emit()
    await world.send()
    request = world.receivers.received[0]
    assert verifies(secret, request)
    (signature,) = [s for s in request.headers["webhook-signature"].split() if s.startswith("v1a,")]
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(endpoint.public_key.removeprefix("whpk_")))
    content = f"{request.id}.{request.headers['webhook-timestamp']}.".encode() + request.body
    key.verify(base64.b64decode(signature.removeprefix("v1a,")), content)


async def test_a_secret_is_stored_encrypted(world: HooksWorld) -> None:
    _, secret = await world.add("a")
    row = await world.endpoint("a")
    assert secret not in str(row) and secret.removeprefix("whsec_") not in str(row)
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
