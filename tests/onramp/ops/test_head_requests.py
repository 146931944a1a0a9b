"""HEAD is answered for every page and document that people and monitors open."""

import pytest

from tests.support.service import Service

DOCUMENTS = [
    "/",
    "/checkout",
    "/checkout/s/ons_unknown",
    "/docs",
    "/docs/docs.css",
    "/openapi.json",
    "/llms.txt",
    "/invitation",
]


@pytest.mark.parametrize("path", DOCUMENTS)
async def test_a_document_answers_head_like_get(service: Service, path: str) -> None:
    async with service.http.get(service.api + path) as response:
        wanted = (response.status, response.content_type)
    async with service.http.head(service.api + path) as response:
        assert (response.status, response.content_type) == wanted
        assert await response.read() == b""
