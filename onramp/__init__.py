"""The service: sessions, webhooks, deliveries, the sandbox, the app and the command line."""

from typing import Final

__version__: Final = "0.1.0"
"""Read by the build as well: the image installs no package, so its metadata cannot be asked for the version."""
