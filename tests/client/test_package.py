"""The client's package fits the service: one version, and test data that the service's own models accept."""

import json
import subprocess

import pytest

import onramp
from onramp.sessions.receipts import Proof
from onramp.sessions.schemas import SessionResponse
from onramp.sessions.status import SessionStatus
from tests.support.paths import ROOT

CLIENT = ROOT / "client"


def test_client_and_service_have_one_version() -> None:
    for name in ("package.json", "package-lock.json"):
        assert json.loads((CLIENT / name).read_text())["version"] == onramp.__version__, name


@pytest.mark.parametrize("status", SessionStatus)
def test_the_test_data_of_each_status_is_what_the_service_could_answer(status: SessionStatus) -> None:
    code = (
        'import { proofOf, sessionIn } from "./dist/testing.js";'
        f"const session = sessionIn({json.dumps(status)}); console.log(JSON.stringify([session, proofOf(session)]));"
    )
    output = subprocess.run(
        ["node", "--input-type=module", "--eval", code], cwd=CLIENT, check=True, capture_output=True
    )
    session, proof = json.loads(output.stdout)
    fields = {field.alias for field in SessionResponse.model_fields.values()}
    assert fields <= set(session)
    assert SessionResponse.model_validate({name: session[name] for name in fields}).status == status
    proof["sender"] = proof.pop("from")  # a word that Python keeps for itself: the model reads it under another name
    assert Proof.model_validate(proof).to == session["walletAddress"]
