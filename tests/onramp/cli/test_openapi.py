"""`onramp openapi`: the API's description for programs."""

import json

from tests.support.command_line import run_onramp
from tests.support.paths import ROOT


def test_the_types_are_those_that_the_client_is_built_from() -> None:
    result = run_onramp({}, "openapi", "--typescript")
    assert result.returncode == 0, result.stderr
    assert result.stdout == (ROOT / "client" / "src" / "schema.ts").read_text()


def test_without_an_option_it_is_the_document_that_the_service_serves() -> None:
    result = run_onramp({}, "openapi")
    assert json.loads(result.stdout)["paths"]["/api/v1/onramp/sessions"]["post"]["operationId"] == "create_session"
