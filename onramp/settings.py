"""The environment, read once. Wrong or missing values stop the start with every problem listed, values never shown."""

import ipaddress
import secrets
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from chain.settings import ChainSettings
from chain.types import ZERO_ADDRESS, to_checksum
from kit.database import normalise_url
from kit.keyring import DEVELOPMENT, KeyRing, parse_key
from kit.money import parse_units
from onramp import secret_files
from onramp.consistency import problems_of
from onramp.limits.policy import parse_rate
from treasury.settings import TreasurySettings


class Settings(BaseSettings, ChainSettings, TreasurySettings):
    """Every variable, under its own name. `README.md` lists them for people."""

    model_config = SettingsConfigDict(extra="ignore", case_sensitive=True, hide_input_in_errors=True)

    ENVIRONMENT: Literal["development", "production"] = "development"
    HOST: str = "127.0.0.1"
    PORT: int = Field(default=3001, ge=0, le=65535)
    DATABASE_URL: SecretStr = SecretStr("sqlite+aiosqlite:///onramp.db")
    DATABASE_REPLICA_URL: SecretStr = SecretStr("")
    REDIS_URL: SecretStr = SecretStr("")
    STRIPE_SECRET_KEY: SecretStr = SecretStr("")
    STRIPE_PUBLISHABLE_KEY: str = ""
    STRIPE_WEBHOOK_SECRETS: SecretStr = SecretStr("")
    STRIPE_WEBHOOK_ADDRESSES: str = ""
    STRIPE_API_BASE: str = "https://api.stripe.com"
    STRIPE_VERSION: str = ""
    STRIPE_DESTINATION_CURRENCY: str = "usdc"
    STRIPE_DESTINATION_NETWORK: str = "ethereum"
    DELIVERY_MODE: Literal["payout", "observe"] = "payout"
    SETTLEMENT_ADDRESS: str = ""
    DELIVERY_SENDERS: str = ""
    OBSERVE_TOLERANCE_BPS: int = Field(default=0, ge=0, le=1000)
    PAYOUT_FEE_BPS: int = Field(default=0, ge=0, lt=10_000)
    SESSION_MIN_AMOUNT: str = "1"
    SESSION_MAX_AMOUNT: str = "10000"
    WALLET_DAILY_LIMIT: str = ""
    WALLET_MONTHLY_LIMIT: str = ""
    SESSION_TTL_MINUTES: int = Field(default=1440, gt=0)
    DELIVERY_OVERDUE_MINUTES: int = Field(default=15, gt=0)
    AWS_KMS_KEY_ID: str = ""
    GCP_KMS_KEY_VERSION: str = ""
    GCP_KMS_ENDPOINT: str = ""
    TREASURY_POLICY: Path = Path("treasury.toml")
    JWT_SECRETS: SecretStr = SecretStr("")
    DATA_KEYS: SecretStr = SecretStr("")
    ALLOWED_ORIGINS: str = ""
    METRICS_TOKEN: SecretStr = SecretStr("")
    MERCHANT_NAME: str = ""
    MERCHANT_ADDRESS: str = ""
    SUPPORT_EMAIL: str = ""
    TRUSTED_PROXIES: str = ""
    RATE_LIMIT_CREATE: str = "30/minute"
    RATE_LIMIT_READ: str = "600/minute"
    RATE_LIMIT_AUTH: str = "20/minute"
    SANCTIONS_LIST: str = ""
    SANCTIONS_ORACLE: str = ""
    PRIVACY_RETENTION_DAYS: int = Field(default=90, ge=1, le=3650)
    ONRAMP_API_KEY: SecretStr = SecretStr("")
    ONRAMP_API_URL: str = ""
    CHECKOUT_PAGE: bool | None = None
    LOG_LEVEL: Literal["debug", "info", "warning", "error"] = "info"
    LOG_FORMAT: Literal["json", "text"] | None = None
    SENTRY_DSN: SecretStr = SecretStr("")
    OTEL_EXPORTER_OTLP_ENDPOINT: str = ""

    @field_validator("DATABASE_URL", "DATABASE_REPLICA_URL")
    @classmethod
    def _database_can_be_opened(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value():
            return value
        try:
            url, _ = normalise_url(value.get_secret_value())
        except Exception as error:
            message = "is not a database URL we speak: use sqlite+aiosqlite:///file or postgresql://..."
            raise ValueError(message) from error
        if url.drivername.startswith("sqlite") and not Path(url.database or "").absolute().parent.is_dir():
            message = "names a SQLite file in a folder that does not exist"
            raise ValueError(message)
        return value

    @field_validator("SETTLEMENT_ADDRESS", "SANCTIONS_ORACLE")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if value and to_checksum(value) == ZERO_ADDRESS:
            message = "is the zero address: what is sent there is lost"
            raise ValueError(message)
        return to_checksum(value) if value else value

    @field_validator("DELIVERY_SENDERS")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        return ",".join(to_checksum(item) for item in split(value))

    @field_validator("SESSION_MIN_AMOUNT", "SESSION_MAX_AMOUNT")
    @classmethod
    def _is_an_amount(cls, value: str) -> str:
        parse_units(value, 2)
        return value

    @field_validator("WALLET_DAILY_LIMIT", "WALLET_MONTHLY_LIMIT")
    @classmethod
    def _is_an_amount_or_none(cls, value: str) -> str:
        if value:
            parse_units(value, 2)
        return value

    @field_validator("RATE_LIMIT_CREATE", "RATE_LIMIT_READ", "RATE_LIMIT_AUTH")
    @classmethod
    def _are_rates(cls, value: str) -> str:
        parse_rate(value)
        return value

    @field_validator("TRUSTED_PROXIES", "STRIPE_WEBHOOK_ADDRESSES")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        networks(value)
        return value

    @field_validator("ALLOWED_ORIGINS")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        for item in split(value):
            if item != "*" and (not item.startswith(("http://", "https://")) or item.count("/") != 2):
                message = "takes exact origins such as https://app.example, without a path"
                raise ValueError(message)
        return value

    @field_validator("SENTRY_DSN")
    @classmethod
    def _is_a_dsn(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if value.get_secret_value() and not (
            parts.scheme in {"http", "https"}
            and parts.hostname
            and parts.username
            and parts.path.rpartition("/")[2].isdigit()
        ):
            message = "is not a DSN: https://key@host/project is expected"
            raise ValueError(message)
        return value

    @field_validator("OTEL_EXPORTER_OTLP_ENDPOINT")
    @classmethod
    def _can_be_posted_to(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and not (parts.scheme in {"http", "https"} and parts.hostname):
            message = "takes the base URL of a collector, such as http://collector:4318"
            raise ValueError(message)
        return value

    @field_validator("DATA_KEYS", "JWT_SECRETS")
    @classmethod
    def _are_keys(cls, value: SecretStr) -> SecretStr:
        for item in split(value.get_secret_value()):
            parse_key(item)
        return value

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if problems := problems_of(self):
            raise ValueError("; ".join(problems))
        return self

    @property
    def is_production(self) -> bool:
        """Real money, strangers at the door."""
        return self.ENVIRONMENT == "production"

    def agreement_problem(self) -> str | None:
        """Why CHAIN_AGREEMENT does not protect money: a warning in development, refused in production on mainnet."""
        operators = len({node.operator for node in self.nodes()})
        if 2 <= self.CHAIN_AGREEMENT <= operators:
            return None
        return f"CHAIN_AGREEMENT is {self.CHAIN_AGREEMENT}: it must be at least 2 and at most the {operators} operators configured"

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """All webhook secrets that are valid now."""
        return tuple(split(self.STRIPE_WEBHOOK_SECRETS.get_secret_value()))

    @property
    def data_keys(self) -> tuple[bytes, ...]:
        """The keys of DATA_KEYS; in development, where none is set, one that everybody knows."""
        given = tuple(parse_key(item) for item in split(self.DATA_KEYS.get_secret_value()))
        return given or (DEVELOPMENT,)

    @property
    def ring(self) -> KeyRing:
        """What API keys, the audit trail and personal data stand on."""
        return KeyRing(self.data_keys)

    @property
    def jwt_secrets(self) -> tuple[bytes, ...]:
        """What signs wallets' tokens: JWT_SECRETS; else a key of DATA_KEYS; else, in development, one that this start makes."""
        given = tuple(parse_key(item) for item in split(self.JWT_SECRETS.get_secret_value()))
        if given:
            return given
        if self.DATA_KEYS.get_secret_value():
            return tuple(key.secret for key in self.ring.all("wallet-tokens"))
        return (secrets.token_bytes(32),)

    @property
    def checkout_is_served(self) -> bool:
        """The checkout page: on in development, off in production unless asked for."""
        return not self.is_production if self.CHECKOUT_PAGE is None else self.CHECKOUT_PAGE

    @property
    def origins(self) -> list[str]:
        """Of the dApp; `*`, any, in development alone."""
        return split(self.ALLOWED_ORIGINS)

    @property
    def delivery_senders(self) -> tuple[str, ...]:
        """Observe mode: whose transfers count."""
        return tuple(split(self.DELIVERY_SENDERS))

    @property
    def wallet_limits(self) -> tuple[int | None, int | None]:
        """What one wallet may buy in a day and in a month, in hundredths of the source currency; None: no limit."""
        day, month = (
            parse_units(text, 2) if text else None for text in (self.WALLET_DAILY_LIMIT, self.WALLET_MONTHLY_LIMIT)
        )
        return day, month

    @property
    def minor_limits(self) -> tuple[int, int]:
        """The smallest and largest purchase, in hundredths of the source currency."""
        return parse_units(self.SESSION_MIN_AMOUNT, 2), parse_units(self.SESSION_MAX_AMOUNT, 2)


def networks(text: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The networks of a comma-separated value; a single address is a network of its own."""
    return [ipaddress.ip_network(item) for item in split(text)]


def split(text: str) -> list[str]:
    """The items of a comma-separated value."""
    return [item.strip() for item in text.split(",") if item.strip()]


class SettingsError(Exception):
    """The environment cannot be used; `problems` holds a line for each thing wrong, without any value."""

    def __init__(self, problems: list[str]) -> None:
        """All of them at once: nobody likes to fix one and meet the next."""
        super().__init__("; ".join(problems))
        self.problems = problems


def load(**overrides: Any) -> Settings:
    """Read the environment, and the files that it names; SettingsError lists everything that is wrong with them."""
    names = [name for name in secret_names() if name not in overrides]
    files, problems = secret_files.read(names, EnvSettingsSource(Settings).env_vars)
    try:
        settings = Settings(**dict[str, Any](files, **overrides))
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False, include_context=False):
            name = ".".join(str(part) for part in item["loc"])
            text = item["msg"].removeprefix("Value error, ")
            problems += [f"{name}: {text}"] if name else text.split("; ")
        raise SettingsError(problems) from error
    if problems:
        raise SettingsError(problems)
    return settings


def secret_names() -> list[str]:
    """The variables that hold secrets; each may come from the file that its name with `_FILE` names."""
    return [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]
