"""The values that a refill is compared with, read from the environment alone: no database and no node are needed."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from kit.validation import validation_text
from onramp.cli.output import CommandError
from onramp.config import fields
from treasury.settings import TreasurySettings

if TYPE_CHECKING:
    from treasury.cold.sheet import Expected


class RefillSettings(BaseSettings, TreasurySettings):
    """The variables that define a refill's source, its destination and the tokens it may move."""

    model_config = SettingsConfigDict(extra="ignore", case_sensitive=True, hide_input_in_errors=True)

    CHAIN_ID: int = Field(default=31611, gt=0)
    MUSD_TOKEN_ADDRESS: fields.OptionalAddress = ""
    TREASURY_POLICY: Path = Path("treasury.toml")


def expected() -> "Expected":
    """Return the values that a refill must have. Raises CommandError if a variable is missing or invalid."""
    from treasury.cold.sheet import Expected
    from treasury.core.assets import GAS_ASSET, GAS_DECIMALS, MUSD, MUSD_DECIMALS, NATIVE

    pins = _pins()
    missing = [name for name in ("COLD_SAFE_ADDRESS", "COLD_SAFE_OWNERS") if not getattr(pins, name)]
    wallet = pins.hot_wallet
    if wallet is None:
        missing.append("HOT_WALLET_ADDRESS")
    if missing or wallet is None:
        raise CommandError(
            f"onramp: set {', '.join(missing)} as the service has it (and COLD_SAFE_THRESHOLD), "
            "so that the sheet can be compared."
        )
    try:
        pin = pins.cold_pin(pins.CHAIN_ID)
    except ValueError as error:
        raise CommandError("onramp: the settings cannot be used:", f"  {error}") from error
    assert pin is not None, "COLD_SAFE_ADDRESS is set"
    musd = pins.MUSD_TOKEN_ADDRESS or _musd_of(pins.CHAIN_ID)
    tokens = {musd: (MUSD, MUSD_DECIMALS), NATIVE: (GAS_ASSET, GAS_DECIMALS)}
    return Expected(pin, wallet, _listed(pins.TREASURY_POLICY, musd) | tokens)


def _pins() -> RefillSettings:
    try:
        return RefillSettings()
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        raise CommandError(
            "onramp: the settings cannot be used:",
            *(f"  {problem['loc'][0]}: {validation_text(problem['msg'])}" for problem in problems),
        ) from error


def _musd_of(chain_id: int) -> str:
    from chain.deployments import deployment

    try:
        return deployment(chain_id).musd
    except LookupError as error:
        raise CommandError(f"onramp: CHAIN_ID: {error}") from error


def _listed(policy: Path, musd: str) -> dict[str, tuple[str, int]]:
    """Return the tokens that the policy file lists, by address: symbol and decimals; none if the file cannot be read."""
    from treasury.policy.parser import PolicyError, parse

    try:
        assets = parse(policy.read_text(encoding="utf-8"), musd=musd).assets.values()
    except (OSError, UnicodeDecodeError, PolicyError):
        return {}
    return {asset.token: (asset.symbol, asset.decimals) for asset in assets}
