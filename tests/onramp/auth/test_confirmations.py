"""Who may confirm a key, and which names are refused because they look like another person's. Over HTTP, on both databases."""

import asyncio
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from kit import persons
from onramp.auth.api_keys import service as api_keys_service
from onramp.auth.api_keys.service import Author
from onramp.auth.api_keys.table import api_key_secrets, api_keys
from onramp.auth.invitations.table import invitations
from onramp.config.person_rules import ID_PREFIXES, RESERVED
from tests.support.api_keys import KEYS, RING
from tests.support.command_line import run_onramp
from tests.support.key_office import Office


async def test_a_key_is_confirmed_by_another_person_than_its_maker(office: Office) -> None:
    _, admin = await office.hire("admin", "ada")
    _, ada = await office.hire("approver", "Ada")
    _, eve = await office.hire("approver", "eve")
    bob = await office.make(admin, "approver", "bob")
    assert not await office.works(bob["secret"])
    assert await office.confirm(ada, bob["id"]) == "self_approval"
    assert not await office.works(bob["secret"])
    status, seen = await office.ask("GET", f"{KEYS}/{bob['id']}/confirm", eve)
    assert (status, seen["person"], seen["madeAt"]) == (200, "bob", bob["madeAt"])
    assert seen["madeBy"] == (await office.ask("GET", "/api/v1/keys/me", admin))[1]["id"]
    assert [await office.confirm(eve, bob["id"]) for _ in range(2)] == ["confirmed"] * 2
    assert await office.works(bob["secret"])
    _, entries = await office.ask("GET", "/api/v1/treasury/audit", admin)
    assert [row["action"] for row in entries["data"]].count("key.confirm") == 1


async def test_a_rotation_of_another_persons_key_is_confirmed_by_neither_of_the_two(office: Office) -> None:
    _, admin = await office.hire("admin", "ada")
    otto, old = await office.hire("operator", "otto")
    own, ada, eve = [(await office.hire("approver", one))[1] for one in ("otto", "ada", "eve")]
    fresh = await office.rotate(admin, otto)
    assert [await office.confirm(who, otto) for who in (ada, own)] == ["self_approval"] * 2
    assert (await office.works(fresh["secret"]), await office.works(old)) == (False, True)
    assert await office.confirm(eve, otto) == "confirmed"
    assert await office.works(fresh["secret"])
    assert (await office.rotate(admin, otto))["confirmedBy"] is None, "the newest secret is not confirmed"


async def test_the_inviter_counts_as_the_maker_and_the_invitee_chooses_nothing(office: Office) -> None:
    _, admin = await office.hire("admin", "ada")
    _, ada = await office.hire("approver", "ada")
    _, eve = await office.hire("approver", "eve")
    order = {"role": "approver", "name": "bob's laptop", "person": "bob"}
    _, made = await office.ask("POST", "/api/v1/admin/invitations", admin, order)
    token = {"token": made["link"].partition("#")[2]}
    status, refused = await office.ask("POST", "/api/v1/invitations/accept", None, token | {"person": "carol"})
    assert status == 422, refused
    status, key = await office.ask("POST", "/api/v1/invitations/accept", None, token)
    assert (status, key["person"], key["madeBy"]) == (201, "bob", made["id"])
    assert await office.confirm(ada, key["id"]) == "self_approval"
    async with office.database.write() as conn:  # as an earlier version left it
        for table in (invitations, api_keys, api_key_secrets):
            await conn.execute(sa.update(table).values(makers=None))
    assert await office.confirm(ada, key["id"]) == "self_approval"
    assert await office.confirm(eve, key["id"]) == "confirmed"


async def test_the_maker_of_the_admin_that_made_a_key_counts_as_its_maker(office: Office) -> None:
    _, ada_admin = await office.hire("admin", "ada")
    amir, amir_admin = await office.hire("admin", "amir")
    _, ada = await office.hire("approver", "ada")
    _, eve = await office.hire("approver", "eve")
    bob = await office.make(ada_admin, "admin", "bob")
    carol = await office.make(bob["secret"], "approver", "carol")
    assert await office.confirm(ada, carol["id"]) == "self_approval"
    stolen = await office.rotate(ada_admin, amir)
    dora = await office.make(stolen["secret"], "approver", "dora")
    assert await office.confirm(ada, dora["id"]) == "self_approval", "ada held a secret of amir's key"
    again = await office.rotate(stolen["secret"], amir, 0)
    erin = await office.make(again["secret"], "operator", "erin")
    assert await office.confirm(ada, erin["id"]) == "self_approval", "another rotation hides nothing"
    async with office.database.write() as conn:  # on the machine
        secret = api_keys_service.new_secret()
        author = Author("machine", datetime.now(UTC), is_production=True)
        await api_keys_service.rotate(conn, author, amir, secret=secret, ring=RING, overlap=timedelta(0))
    assert (await office.ask("GET", KEYS, amir_admin))[0] == 401
    fred = await office.make(secret, "operator", "fred")
    assert await office.confirm(ada, fred["id"]) == "confirmed"
    assert [await office.confirm(eve, one["id"]) for one in (carol, dora, erin)] == ["confirmed"] * 3


async def test_makers_are_found_for_keys_of_an_earlier_version(office: Office) -> None:
    _, ada_admin = await office.hire("admin", "ada")
    _, ada = await office.hire("approver", "ada")
    _, eve = await office.hire("approver", "eve")
    bob = await office.make(ada_admin, "admin", "bob")
    carol = await office.make(bob["secret"], "approver", "carol")
    otto, _ = await office.hire("operator", "otto")
    await office.rotate(bob["secret"], otto)
    async with office.database.write() as conn:
        for table in (api_keys, api_key_secrets):
            await conn.execute(sa.update(table).values(makers=None))
    assert [await office.confirm(ada, one) for one in (carol["id"], otto)] == ["self_approval"] * 2
    dora = await office.make(bob["secret"], "approver", "dora")
    assert await office.confirm(ada, dora["id"]) == "self_approval"
    assert [await office.confirm(eve, one) for one in (carol["id"], otto, dora["id"])] == ["confirmed"] * 3


async def test_a_confirmation_counts_only_for_the_newest_secret_and_for_the_one_named(office: Office) -> None:
    admins = [(await office.hire("admin", one))[1] for one in ("ada", "amir")]
    approvers = [(await office.hire("approver", one))[1] for one in ("ada", "amir")]
    _, eve = await office.hire("approver", "eve")
    bob = await office.make(admins[0], "approver", "bob")
    await asyncio.sleep(0.002)  # times are shown in milliseconds
    newer = await office.rotate(admins[1], bob["id"])
    assert [await office.confirm(one, bob["id"]) for one in approvers] == ["self_approval"] * 2
    assert await office.confirm(eve, bob["id"], {"madeAt": bob["madeAt"]}) == "key_changed"
    assert (await office.works(newer["secret"]), await office.works(bob["secret"])) == (False, False)
    assert await office.confirm(eve, bob["id"], {"madeAt": newer["madeAt"]}) == "confirmed"
    assert (await office.works(newer["secret"]), await office.works(bob["secret"])) == (True, False)


async def test_a_rotation_beside_a_confirmation_is_not_confirmed_by_it(office: Office) -> None:
    _, admin = await office.hire("admin", "amir")
    await office.hire("approver", "ada")  # the first two keys that may move money do not wait
    _, eve = await office.hire("approver", "eve")
    for _ in range(5):
        bob = await office.make(admin, "approver", "bob")
        await asyncio.sleep(0.002)
        answer, newer = await asyncio.gather(
            office.confirm(eve, bob["id"], {"madeAt": bob["madeAt"]}), office.rotate(admin, bob["id"])
        )
        assert answer in {"confirmed", "key_changed"}
        assert await office.works(bob["secret"]) == (answer == "confirmed")
        assert not await office.works(newer["secret"])


LOOK_ALIKES = {
    "ada\u034f": "is invisible", "a\ufe0fda": "is invisible", "ada\u3164": "is invisible", "ada\u2800": "is invisible",
    "ada\U000e0100": "is invisible", "a\u200dda": "is invisible", "a\u200cda": "is invisible", "\ufeffada": "is invisible",
    "ada\U000e0041": "is invisible", "a\u00adda": "is invisible", "\u202eada": "is invisible",
    "аda": "several scripts", "aԁa": "several scripts", "αda": "several scripts", "аԁа": "looks like", "ada.": "begin and end",
    "-ada": "begin and end", "a.da": "looks like", "a d a": "looks like", "ad\u00e1": "looks like", "a\u0327da": "must not contain",
    "ａｄａ": "ordinary letters", "𝐚𝐝𝐚": "ordinary letters", "ⓐda": "ordinary letters", "ᴀda": "must not contain",
    "ɑdɑ": "must not contain", "Ꭺda": "must not contain", "a\u0333da": "must not contain", "b0b": "looks like", "car01": "looks like",
    "arnir": "looks like", "machine": "for itself", "Sweeper": "for itself", "mach1ne": "for itself", "key_4k2": "for itself",
    "...": "begin and end",
}  # fmt: skip


async def test_a_name_that_could_pass_for_another_person_is_refused_on_every_way_in(office: Office) -> None:
    _, admin = await office.hire("admin", "amir")
    for person in ("ada", "Bob", "carol"):
        await office.hire("viewer", person)
    for path in (KEYS, "/api/v1/admin/invitations"):
        for person, rule in LOOK_ALIKES.items():
            status, answer = await office.ask("POST", path, admin, {"role": "viewer", "name": "x", "person": person})
            assert (status, answer["errors"][0]["pointer"]) == (422, "/person"), ascii(person)
            assert rule in answer["detail"], (ascii(person), answer["detail"])
            assert persons.name_problem(person, reserved=RESERVED, id_prefixes=ID_PREFIXES) or any(
                persons.same_person(person, one) for one in ("ada", "bob", "carol", "amir")
            )
    status, answer = await office.ask("POST", KEYS, admin, {"role": "viewer", "name": "аda"})
    assert (status, answer["errors"][0]["pointer"]) == (422, "/person"), "the name is the person where none is given"
    for person in (
        "ADA",
        " ada ",
        "José",
        "Łódź 2",
        "田中さん",
        "Ελένη",
        "שלום",
        "राम",
        "김민수",
        "ada@example.com",
        "O'Neil (ops)",
    ):
        status, answer = await office.ask("POST", KEYS, admin, {"role": "viewer", "name": "x", "person": person})
        assert status == 201, (person, answer)
    status, answer = await office.ask(
        "POST", "/api/v1/admin/invitations", admin, {"role": "viewer", "name": "x", "person": "zoe"}
    )
    assert status == 201
    assert (await office.ask("POST", KEYS, admin, {"role": "viewer", "name": "x", "person": "z0e"}))[0] == 422


async def test_look_alike_names_stored_before_count_as_one_person(office: Office) -> None:
    _, admin = await office.hire("admin", "amir")
    twins = [await office.hire("approver", one) for one in ("gina", "hugo")]
    async with office.database.write() as conn:
        for (key_id, _), person in zip(twins, ("ada", "аda\u034f."), strict=True):
            await conn.execute(sa.update(api_keys).where(api_keys.c.id == key_id).values(person=person))
    one, other = (secret for _, secret in twins)
    assert (await office.ask("POST", "/api/v1/treasury/pause", one, {"scope": "sweeps"}))[0] == 200
    status, answer = await office.ask("POST", "/api/v1/treasury/resume", other, {"scope": "sweeps"})
    assert (status, answer["code"]) == (409, "self_approval")
    fresh = await office.rotate(admin, twins[0][0])
    assert await office.confirm(other, fresh["id"]) == "self_approval"


def test_the_command_line_refuses_the_same_names(sqlite_url: str) -> None:
    environment = {"PATH": "/usr/bin:/bin", "DATABASE_URL": sqlite_url, "COLUMNS": "200"}
    for command in ("create", "invite"):
        options = ("keys", command, "--role", "viewer", "--name", "x", "--person")
        if command == "create":
            assert run_onramp(environment, *options, "ada").returncode == 0
        for person, rule in (("a\u200dda", "is invisible"), ("аԁа", "looks like"), ("machine", "for itself")):
            refused = run_onramp(environment, *options, person)
            assert refused.returncode == 1, refused.stderr
            assert rule in refused.stderr
            assert "Traceback" not in refused.stderr
    waiting = run_onramp(environment, "keys", "list").stdout
    assert "machine" in waiting
    assert "yes" in waiting
