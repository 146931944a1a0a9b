"""The service: it sells MUSD, delivers it and shows the proof; its API, workers, operator routes and command line."""

from typing import Final

from kit.logs import add_secret_patterns
from onramp.config.secret_patterns import PATTERNS

__version__: Final = "0.1.0"
"""The version of the service, which the build reads, too. The image does not install the package, so its metadata cannot provide it."""

# On import, so that no code of the service runs without redaction.
add_secret_patterns(PATTERNS)
