"""The OpenAPI document of the service is valid OpenAPI 3.1, and describes every route."""

from openapi_spec_validator import OpenAPIV31SpecValidator

from onramp.bootstrap.app import routes
from onramp.config.loader import load
from onramp.ops.openapi import specification


def test_the_document_is_valid_openapi_and_names_every_operation_once() -> None:
    table = tuple(routes(load()))
    document = specification(table)
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    operations = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert sorted(operations) == sorted(route.name for route in table)


def test_every_access_of_a_route_is_described() -> None:
    document = specification(tuple(routes(load())))
    schemes = set(document["components"]["securitySchemes"])
    requirements = [
        name
        for methods in document["paths"].values()
        for operation in methods.values()
        for requirement in operation["security"]
        for name in requirement
    ]
    assert set(requirements) == schemes == {"wallet", "operator", "stripe", "metrics"}
