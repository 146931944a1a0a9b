"""What the service signs, the official library for Node and the client's own `verifyWebhook` accept; what was changed, both refuse."""

import json
import subprocess
from datetime import UTC, datetime
from typing import Any

from onramp.hooks.event_data import DATA_MODELS
from onramp.hooks.event_types import EventType
from onramp.hooks.messages import render
from onramp.hooks.signing import Secrets, new_private_key, new_secret, signed_headers
from tests.support.paths import ROOT

CODE = """
import { Webhook } from "standardwebhooks";
import { verifyWebhook } from "./dist/webhooks.js";
const { cases, secret } = JSON.parse(await new Response(process.stdin).text());
const results = [];
for (const { body, headers } of cases) {
  let theirs = null, ours = null;
  try { theirs = new Webhook(secret).verify(body, headers); } catch {}
  try { ours = await verifyWebhook(body, headers, [secret]); } catch {}
  results.push({ theirs, ours });
}
console.log(JSON.stringify(results));
"""


def verified(secret: str, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the official library and ours read of each case; None for what they refuse."""
    run = subprocess.run(
        ["node", "--input-type=module", "--eval", CODE], cwd=ROOT / "client", check=True, capture_output=True,
        input=json.dumps({"cases": cases, "secret": secret}).encode(),
    )  # fmt: skip
    results: list[dict[str, Any]] = json.loads(run.stdout)
    return results


def test_both_libraries_accept_what_the_service_signs_and_refuse_what_was_changed() -> None:
    now, old, secret = datetime.now(UTC), new_secret(), new_secret()
    message = render(
        EventType.SESSION_COMPLETED, "ons_1", now, {"id": "ons_1", "reference": "Bücher – 5 €", "version": 7}
    )
    alone = signed_headers(Secrets([secret]), message.id, now, message.body.encode())
    rotating = signed_headers(Secrets([old, secret], [new_private_key()]), message.id, now, message.body.encode())
    foreign = signed_headers(Secrets([old]), message.id, now, message.body.encode())
    body = message.body
    cases = [
        {"body": body, "headers": alone},
        {"body": body, "headers": rotating},
        {"body": body, "headers": foreign},
        {"body": body.replace("7", "8"), "headers": alone},
        {"body": body, "headers": alone | {"webhook-id": "msg_other"}},
        {"body": body, "headers": alone | {"webhook-timestamp": str(int(alone["webhook-timestamp"]) - 900)}},
    ]
    results = verified(secret, cases)
    read = json.loads(body)
    assert results[:2] == [{"theirs": read, "ours": read | {"id": message.id}}] * 2
    assert results[2:] == [{"theirs": None, "ours": None}] * 4


def test_every_type_of_event_is_in_the_clients_union() -> None:
    schema = (ROOT / "client/src/schema.ts").read_text()
    union = schema[schema.index("export type WebhookMessage") :].split("\n\n")[0]
    assert all(f'"{event}"' in union for event in EventType) and set(DATA_MODELS) == set(EventType)
