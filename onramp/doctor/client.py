"""The doctor's check of the built client."""

from onramp.client import files as client_files
from onramp.ops.health import NotWellError


async def client() -> str:
    """Check that the client is built, which the checkout page needs, too. Raises NotWellError."""
    served = client_files.load()
    if served is None:
        raise NotWellError(client_files.NOT_BUILT)
    return f"version {served.version} is served, {len(served.files)} files"
