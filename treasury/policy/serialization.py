"""Terms as JSON, as a version stores them: readable years later, and equal text for equal terms."""

from dataclasses import asdict
from functools import lru_cache
from typing import Any

import orjson

from chain.types import keccak
from treasury.cold.identity import ColdPin
from treasury.core.asset_policy import AssetPolicy, SweepLimits
from treasury.policy.model import ContractLimits, PayoutLimits, Policy
from treasury.policy.states import Terms


def dump(terms: Terms) -> str:
    """Return terms as JSON with sorted keys. Integers are text, because most readers keep 53 bits of a JSON number.

    Limits on payouts through PayOnce that have their default are left out: terms from before there were any keep their digest, and an
    earlier version of the service can read the terms until such a limit is named.
    """
    document = asdict(terms)
    default, contract = asdict(ContractLimits()), document["policy"].pop("contract")
    if named := {name: value for name, value in contract.items() if value != default[name]}:
        document["policy"]["contract"] = named
    return orjson.dumps(_texts(document), option=orjson.OPT_SORT_KEYS).decode()


def digest(terms: Terms) -> str:
    """Return a digest of the terms, 0x and 64 hex digits, that changes with anything in them."""
    return "0x" + keccak(dump(terms).encode()).hex()


@lru_cache(maxsize=8)
def load(text: str) -> Terms:
    """Return the terms that `dump` wrote."""
    # Cached: the sender reads the active version several times in each cycle. Nothing changes terms once they are made.
    data = _numbers(orjson.loads(text))
    body, cold = data["policy"], data["cold"]
    assets = {
        symbol: AssetPolicy(**{**asset, "sweeps": SweepLimits(**asset["sweeps"])})
        for symbol, asset in body["assets"].items()
    }
    limits = {"payouts": PayoutLimits(**body["payouts"]), "contract": ContractLimits(**body.get("contract", {}))}
    policy = Policy(**{**body, **limits, "assets": assets})
    pin = None if cold is None else ColdPin(**{**cold, "owners": tuple(cold["owners"])})
    return Terms(policy, data["token"], pin)


def _texts(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"#{value}"
    if isinstance(value, dict):
        return {key: _texts(item) for key, item in value.items()}
    return [_texts(item) for item in value] if isinstance(value, list | tuple) else value


def _numbers(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("#"):
        return int(value[1:])
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    return [_numbers(item) for item in value] if isinstance(value, list) else value
