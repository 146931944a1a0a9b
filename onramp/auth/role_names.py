"""The names of the roles, without the code that checks them, which the command line does not load."""

from typing import Literal

KeyRole = Literal["viewer", "operator", "approver", "admin", "dapp"]
"""The roles that an API key may have."""
