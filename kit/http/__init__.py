"""HTTP furniture: one route table from which the aiohttp application and the OpenAPI document are both made."""
