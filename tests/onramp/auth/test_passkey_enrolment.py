"""The enrolment of passkeys: never by a key or a session alone, several for each person, removed by their person or an admin."""

from typing import Any

import pytest

from onramp.auth.passkeys.routes import MAX_PASSKEYS
from tests.support.api_keys import call, create_key
from tests.support.authenticator import BASE, USER_PRESENT, Authenticator, Person, permit
from tests.support.second_factors import Codes

REGISTRATION = f"{BASE}/registration"


@pytest.fixture
async def admin(service: Any) -> str:
    return (await create_key(service.database, "admin", "ada"))[1]


@pytest.fixture
async def eve(service: Any) -> Person:
    return Person(service, (await create_key(service.database, "approver", "eve"))[1])


async def test_a_key_alone_enrols_nothing(eve: Person) -> None:
    status, refused = await eve.ask("POST", REGISTRATION)
    assert (status, refused["code"]) == (409, "proof_required")


async def test_a_code_enrols_the_first_passkey_and_a_passkey_enrols_the_next(service: Any, eve: Person) -> None:
    codes = await Codes.enrol(service, eve.secret)
    status, refused = await eve.ask("POST", REGISTRATION)
    assert (status, refused["code"]) == (401, "otp_required")
    status, refused = await eve.ask("POST", REGISTRATION, X_OTP=codes.wrong())
    assert (status, refused["code"]) == (401, "otp_invalid")
    first = await eve.enrol(X_OTP=codes.next())
    assert (first["person"], first["name"], first["lastUsedAt"], first["backedUp"]) == ("eve", "Laptop", None, False)

    challenge = await eve.challenge("passkey.enrol", "me")
    header = eve.device.header(challenge)
    phone = Person(service, eve.secret, Authenticator())
    await phone.enrol(X_Passkey=header)
    _, page = await eve.ask("GET", BASE)
    assert {item["id"] for item in page["data"]} == {first["id"], phone.passkey}
    assert next(item for item in page["data"] if item["id"] == first["id"])["lastUsedAt"] is not None


async def test_a_permission_serves_one_person_once(service: Any, admin: str, eve: Person) -> None:
    permission = await permit(service, admin, "Eve")
    mallory = Person(service, (await create_key(service.database, "approver", "mallory"))[1])
    for thief in (mallory, Person(service, admin)):
        status, refused = await thief.ask("POST", REGISTRATION, {"permission": permission})
        assert (status, refused["code"]) == (401, "passkey_invalid")
    await eve.enrol(permission=permission)
    status, refused = await eve.ask("POST", REGISTRATION, {"permission": permission})
    assert (status, refused["code"]) == (401, "passkey_expired")
    status, refused = await call(service, "POST", "/api/v1/admin/passkeys/permissions", admin, json={"person": "ada"})
    assert (status, refused["code"]) == (409, "self_approval")


async def test_an_answer_for_another_enrolment_address_or_user_check_enrols_nothing(
    service: Any, admin: str, eve: Person
) -> None:
    mallory = Person(service, (await create_key(service.database, "approver", "mallory"))[1])
    _, begun = await eve.ask("POST", REGISTRATION, {"permission": await permit(service, admin, "eve")})
    good = Authenticator().create(begun["options"])
    wrong = [
        Authenticator(origin="http://evil.example").create(begun["options"]),
        Authenticator(flags=USER_PRESENT).create(begun["options"]),
        Authenticator().create({**begun["options"], "challenge": "AAAA"}),
        {}, {"id": "x"}, {**good, "response": {}}, {**good, "id": "AAAA"}, {**good, "response": {"attestationObject": "gYGB" * 2000}},
    ]  # fmt: skip
    for credential in wrong:
        answer = {"registration": begun["id"], "name": "Laptop", "credential": credential}
        status, refused = await eve.ask("POST", BASE, answer)
        assert (status, refused["code"]) == (401, "passkey_invalid"), credential
    answer = {"registration": begun["id"], "name": "Laptop", "credential": good}
    assert (await mallory.ask("POST", BASE, answer))[1]["code"] == "passkey_invalid"
    assert (await eve.ask("POST", BASE, answer))[0] == 201
    assert (await eve.ask("POST", BASE, answer))[1]["code"] == "passkey_expired"


async def test_a_person_has_several_passkeys_up_to_a_limit(service: Any, admin: str, eve: Person) -> None:
    for _ in range(MAX_PASSKEYS):
        eve.device = Authenticator()
        await eve.enrol(permission=await permit(service, admin, "eve"))
    permission = await permit(service, admin, "eve")
    status, refused = await eve.ask("POST", REGISTRATION, {"permission": permission})
    assert (status, refused["code"]) == (409, "too_many_passkeys")
    seen, cursor = [], ""
    while cursor is not None:
        _, page = await eve.ask("GET", f"{BASE}?limit=4" + (f"&cursor={cursor}" if cursor else ""))
        seen += [item["id"] for item in page["data"]]
        cursor = page["nextCursor"]
    assert len(set(seen)) == len(seen) == MAX_PASSKEYS


async def test_a_person_sees_and_removes_their_own_and_an_admin_all(service: Any, admin: str, eve: Person) -> None:
    mallory = Person(service, (await create_key(service.database, "approver", "mallory"))[1])
    for person, name in ((eve, "eve"), (mallory, "mallory")):
        await person.enrol(permission=await permit(service, admin, name))
    assert [item["person"] for item in (await eve.ask("GET", BASE))[1]["data"]] == ["eve"]
    assert len((await Person(service, admin).ask("GET", BASE))[1]["data"]) == 2
    assert (await mallory.ask("DELETE", f"{BASE}/{eve.passkey}"))[1]["code"] == "forbidden"
    assert (await eve.ask("DELETE", f"{BASE}/{eve.passkey}"))[0] == 200
    assert (await eve.ask("DELETE", f"{BASE}/{eve.passkey}"))[0] == 200, "again"
    assert (await Person(service, admin).ask("DELETE", f"{BASE}/{mallory.passkey}"))[0] == 200
    assert (await Person(service, admin).ask("GET", BASE))[1]["data"] == []
    assert (await eve.ask("DELETE", f"{BASE}/pky_unknown"))[1]["code"] == "not_found"


async def test_a_challenge_needs_the_role_of_its_command(service: Any, admin: str) -> None:
    viewer = Person(service, (await create_key(service.database, "viewer", "vic"))[1])
    await viewer.enrol(permission=await permit(service, admin, "vic"))
    body = {"action": "pause.resume", "subject": "pause"}
    assert (await viewer.ask("POST", f"{BASE}/challenges", body))[1]["code"] == "forbidden"
    body = {"action": "payout.burn", "subject": "x"}
    assert (await viewer.ask("POST", f"{BASE}/challenges", body))[1]["code"] == "not_found"
