"""The patterns of this service's secrets, which are redacted wherever they appear in a log line or error."""

import re
from typing import Final

from kit.logs import SecretPattern

PATTERNS: Final = (
    SecretPattern(
        re.compile(r"\b((?:sk|rk|pk)_(?:live|test)_)[A-Za-z0-9_]+"), r"\1[redacted]", "_live_|_test_"
    ),  # Stripe's API keys
    SecretPattern(re.compile(r"\bwhsec_[A-Za-z0-9+/=_-]+"), "whsec_[redacted]", "whsec_"),  # webhook secrets
    SecretPattern(
        re.compile(r"\b(cos_[A-Za-z0-9]+)_secret_[A-Za-z0-9_-]+"), r"\1_secret_[redacted]", "_secret_"
    ),  # client secrets of Stripe's onramp sessions
    SecretPattern(
        re.compile(r"\b(ork|oin|ocs)_[A-Za-z0-9_-]+"), r"\1_[redacted]", "ork_|oin_|ocs_"
    ),  # API keys, invitations, console sessions
    SecretPattern(re.compile(r"(?i)\b(session_hash=)[^&\s\"']+"), r"\1[redacted]", "session_hash="),  # redirect URLs
)
