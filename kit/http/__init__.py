"""HTTP: a route table, from which the aiohttp application and the OpenAPI document are made, request parsing, and the server."""
