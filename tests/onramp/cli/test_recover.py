"""`onramp recover`, as a person types it."""

import json
import os

from onramp.recovery.model import StepName
from tests.support.command_line import run_onramp


def test_it_says_what_to_do_next_and_goes_on_where_it_was(sqlite_url: str) -> None:
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": sqlite_url, "LOG_LEVEL": "error"}
    reply = run_onramp(environment, "recover", "--json")
    assert reply.returncode == 1
    assert "onramp recover --without-head" in reply.stderr
    assert len(reply.stderr.splitlines()) == 1
    document = json.loads(reply.stdout)
    assert list(document) == ["id", "begunAt", "backupAt", "finishedAt", "steps", "next"]
    assert [step["name"] for step in document["steps"]] == list(StepName)
    assert [step["done"] for step in document["steps"]] == [True, True] + [False] * (len(StepName) - 2)
    wrong = run_onramp(environment, "recover", "--head", "7")
    assert wrong.returncode == 2
    reply = run_onramp(environment, "recover", "--without-head")
    assert reply.returncode == 1
    for word in (document["id"], "Stripe", "schema is of this version"):
        assert word in reply.stdout + reply.stderr
