"""The client's package fits the service: one version, and test data that the service's own models accept."""

import json
import subprocess

import pytest

import onramp
from onramp.dapp.schemas import ConfigResponse
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
        'import { CONFIG, proofOf, sessionIn } from "./dist/testing.js";'
        f"const session = sessionIn({json.dumps(status)}); console.log(JSON.stringify([session, proofOf(session), CONFIG]));"
    )
    output = subprocess.run(
        ["node", "--input-type=module", "--eval", code], cwd=CLIENT, check=True, capture_output=True
    )
    session, proof, config = json.loads(output.stdout)
    assert SessionResponse.model_validate(session).status == status
    assert ConfigResponse.model_validate(config).musd.address == proof["token"]
    proof["sender"] = proof.pop("from")  # a word that Python keeps for itself: the model reads it under another name
    assert Proof.model_validate(proof).to == session["walletAddress"]
