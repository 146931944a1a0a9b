"""`onramp hooks` as a person types it, in its own process, against a real service."""

import json
from pathlib import Path

import pytest

from onramp.hooks.signing import Secrets, new_secret, signed_headers
from tests.support.hook_commands import hooks_json, run_hooks, run_hooks_async
from tests.support.operators import make_key
from tests.support.service import Service

URL = "http://127.0.0.1:9/hooks?token=t0p"


async def test_an_endpoint_is_created_tested_rotated_disabled_and_deleted(service: Service) -> None:
    amir = await make_key(service.database, "admin", "amir")
    made = await run_hooks_async(
        service.api, amir, "create", "--url", URL, "--events", "session.completed, payout.held"
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout.count("whsec_") == 1
    (endpoint,) = (await hooks_json(service.api, amir, "list"))["data"]
    assert (endpoint["url"], endpoint["events"]) == (URL, ["session.completed", "payout.held"])
    assert "secret" not in endpoint
    whk = endpoint["id"]
    rotated = await hooks_json(service.api, amir, "rotate", whk, "--overlap-seconds", "0")
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] not in made.stdout
    sent = await hooks_json(service.api, amir, "test", whk)
    assert (sent["type"], sent["status"]) == ("webhook.test", "pending")
    listed = await run_hooks_async(service.api, amir, "deliveries", whk, "--status", "pending")
    assert sent["id"] in listed.stdout
    assert (await hooks_json(service.api, amir, "redeliver", sent["id"]))["messageId"] == sent["messageId"]
    assert await hooks_json(service.api, amir, "recover", whk, "--since", "2026-01-01T00:00:00Z") == {"messages": 1}
    assert (await hooks_json(service.api, amir, "disable", whk))["status"] == "disabled"
    refused = await run_hooks_async(service.api, amir, "test", whk)
    assert (refused.returncode, refused.stderr.startswith("onramp: webhook_disabled: ")) == (1, True)
    assert (await hooks_json(service.api, amir, "enable", whk))["status"] == "enabled"
    deleted = await run_hooks_async(service.api, amir, "delete", whk, "--yes")
    assert (deleted.returncode, deleted.stdout) == (0, f"{whk} is deleted.\n")
    empty = await run_hooks_async(service.api, amir, "list")
    assert "onramp hooks create" in empty.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("create", "--url", "http://10.0.0.1/hooks"), 1, "onramp: url_not_public: "),
        (("create", "--url", "https://user:s3cret@shop.example/"), 1, "onramp: url_not_public: "),
        (("create", "--url", URL, "--events", "session.done"), 1, "onramp: "),
        (("create",), 2, "--url"),
        (("test", "whk_unknown"), 1, "onramp: not_found: "),
        (("test", "ons_1"), 2, "whk_"),
        (("redeliver", "../keys"), 1, "onramp: not_found: "),
        (("rotate", "whk_1", "--overlap-seconds", "604801"), 2, "604800"),
        (("recover", "whk_1", "--since", "yesterday"), 1, "onramp: "),
        (("listen", "--forward", "localhost:3000"), 2, "http://"),
    ],
)
async def test_a_refused_command_says_why_on_stderr(
    service: Service, arguments: tuple[str, ...], status: int, words: str
) -> None:
    result = await run_hooks_async(service.api, await make_key(service.database, "admin", "amir"), *arguments)
    assert (result.returncode, result.stdout) == (status, "")
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert "s3cret" not in result.stderr


async def test_another_role_is_refused(service: Service) -> None:
    ada = await make_key(service.database, "approver", "ada")
    refused = await run_hooks_async(service.api, ada, "list")
    assert (refused.returncode, refused.stderr.startswith("onramp: forbidden: ")) == (1, True)


def stored_message(folder: Path, secret: str, body: bytes, received: bytes | None = None) -> tuple[str, ...]:
    """Write a signed message as a receiver stored it; return the options that name its files."""
    from datetime import UTC, datetime

    headers = signed_headers(Secrets((secret,)), "msg_1", datetime.now(UTC), body)
    (folder / "headers.txt").write_text("".join(f"> {name.title()}: {value}\n" for name, value in headers.items()))
    (folder / "body.json").write_bytes(body if received is None else received)
    return "--headers", str(folder / "headers.txt"), "--body", str(folder / "body.json")


def test_a_stored_message_is_verified_and_the_secret_never_printed(tmp_path: Path) -> None:
    secret, body = new_secret(), b'{"type":"webhook.test","data":{"id":"whk_1"}}'
    files = stored_message(tmp_path, secret, body)
    valid = run_hooks("", "", "verify", *files, "--secret", secret)
    assert (valid.returncode, valid.stdout) == (0, "The signature is valid and recent.\n")
    files = stored_message(tmp_path, secret, body, json.dumps(json.loads(body)).encode())
    changed = run_hooks("", "", "verify", *files, "--json", ONRAMP_WEBHOOK_SECRET=secret)
    assert (changed.returncode, json.loads(changed.stdout)["code"]) == (1, "body_changed")
    wrong = run_hooks("", "", "verify", *files, "--secret", new_secret())
    assert (wrong.returncode, wrong.stderr.startswith("onramp: secret_or_body: ")) == (1, True)
    for result in (valid, changed, wrong):
        assert secret not in result.stdout + result.stderr
    missing = run_hooks("", "", "verify", "--secret", secret, "--body", str(tmp_path / "none"))
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)


async def test_with_an_admins_key_a_message_is_compared_with_what_was_sent(service: Service, tmp_path: Path) -> None:
    amir = await make_key(service.database, "admin", "amir")
    made = await hooks_json(service.api, amir, "create", "--url", URL)
    sent = await hooks_json(service.api, amir, "test", made["id"])
    headers = {"Authorization": f"Bearer {amir}"}
    async with service.http.get(
        f"{service.api}/api/v1/admin/webhooks/messages/{sent['messageId']}", headers=headers
    ) as answer:
        message = await answer.json()
    (tmp_path / "body").write_text(message["body"])

    async def code(message_id: str, body: str) -> str:
        (tmp_path / "received").write_text(body)
        signed = (
            "--header",
            f"webhook-id: {message_id}",
            "--header",
            "webhook-timestamp: 1",
            "--header",
            "webhook-signature: v1,AAAA",
        )
        result = await run_hooks_async(
            service.api,
            amir,
            "verify",
            *signed,
            "--body",
            str(tmp_path / "received"),
            "--secret",
            made["secret"],
            "--json",
        )
        return str(json.loads(result.stdout)["code"])

    assert await code(message["id"], message["body"]) == "secret_differs"
    assert await code(message["id"], message["body"].replace("webhook", "Webhook")) == "body_changed"
    assert await code("msg_unknown", message["body"]) == "id_changed"
