"""The environment, read once. Wrong or missing values stop the start with every problem listed, values never shown."""

import re
import secrets
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from chain.settings import ChainSettings
from kit.crypto.keyring import DEVELOPMENT, KeyRing, parse_key
from kit.money import parse_units
from kit.validation import validation_text
from onramp.config import cleaning, fields, secret_files
from onramp.config.validation import problems_of
from treasury.settings import TreasurySettings
from treasury.settlements.settings import SettlementSettings


class Settings(BaseSettings, ChainSettings, TreasurySettings, SettlementSettings):
    """Every variable, under its own name. `docs/configuration.md` and `.env.example` are generated from it."""

    model_config = SettingsConfigDict(extra="ignore", case_sensitive=True, hide_input_in_errors=True)

    ENVIRONMENT: Literal["development", "production"] = "development"
    HOST: fields.Hosts = "127.0.0.1"
    PORT: int = Field(default=3001, ge=0, le=65535)
    DATABASE_URL: fields.DatabaseUrl = SecretStr("sqlite+aiosqlite:///onramp.db")
    DATABASE_REPLICA_URL: fields.ReplicaUrl = SecretStr("")
    DATABASE_POOLER: Literal["", "transaction"] = ""
    REDIS_URL: fields.RedisUrl = SecretStr("")
    STRIPE_SECRET_KEY: fields.SecretKey = SecretStr("")
    STRIPE_PUBLISHABLE_KEY: fields.PublishableKey = ""
    STRIPE_WEBHOOK_SECRETS: fields.WebhookSecrets = SecretStr("")
    STRIPE_WEBHOOK_ADDRESSES: fields.Networks = ""
    STRIPE_API_BASE: fields.Url = "https://api.stripe.com"
    STRIPE_VERSION: fields.StripeVersion = ""
    STRIPE_DESTINATION_CURRENCY: fields.StripeName = "usdc"
    STRIPE_DESTINATION_NETWORK: fields.StripeName = "ethereum"
    DELIVERY_MODE: Literal["payout", "observe"] = "payout"
    SETTLEMENT_ADDRESS: fields.OptionalAddress = ""
    DELIVERY_SENDERS: fields.Addresses = ""
    OBSERVE_TOLERANCE_BPS: int = Field(default=0, ge=0, le=1000)
    PAYOUT_FEE_BPS: int = Field(default=0, ge=0, lt=10_000)
    SESSION_MIN_AMOUNT: fields.Amount = "1"
    SESSION_MAX_AMOUNT: fields.Amount = "10000"
    WALLET_DAILY_LIMIT: fields.OptionalAmount = ""
    WALLET_MONTHLY_LIMIT: fields.OptionalAmount = ""
    SESSION_TTL_MINUTES: int = Field(default=1440, gt=0, le=fields.MAX_MINUTES)
    DELIVERY_OVERDUE_MINUTES: int = Field(default=15, gt=0, le=fields.MAX_MINUTES)
    AWS_KMS_KEY_ID: str = ""
    GCP_KMS_KEY_VERSION: fields.KeyVersion = ""
    GCP_KMS_ENDPOINT: fields.HostAndPort = ""
    TREASURY_POLICY: Path = Path("treasury.toml")
    JWT_SECRETS: fields.Keys = SecretStr("")
    DATA_KEYS: fields.Keys = SecretStr("")
    ALLOWED_ORIGINS: fields.Origins = ""
    METRICS_TOKEN: fields.Token = SecretStr("")
    METRICS_PORT: int = Field(default=0, ge=0, le=65535)
    MERCHANT_NAME: fields.Printed = ""
    MERCHANT_ADDRESS: fields.Printed = ""
    SUPPORT_EMAIL: fields.Email = ""
    TRUSTED_PROXIES: fields.Networks = ""
    RATE_LIMIT_CREATE: fields.Rate = "30/minute"
    RATE_LIMIT_CREATE_TOTAL: fields.Rate = "600/minute"
    RATE_LIMIT_READ: fields.Rate = "600/minute"
    RATE_LIMIT_AUTH: fields.Rate = "20/minute"
    SANCTIONS_LIST: str = ""
    SANCTIONS_ORACLE: fields.OptionalAddress = ""
    PRIVACY_RETENTION_DAYS: int = Field(default=90, ge=1, le=3650)
    UNPAID_RETENTION_DAYS: int = Field(default=30, ge=1, le=3650)
    ONRAMP_API_KEY: fields.Token = SecretStr("")
    ONRAMP_API_URL: fields.OptionalUrl = ""
    CHECKOUT_PAGE: bool | None = None
    LOG_LEVEL: Literal["debug", "info", "warning", "error"] = "info"
    LOG_FORMAT: Literal["json", "text"] | None = None
    SENTRY_DSN: fields.Dsn = SecretStr("")
    OTEL_EXPORTER_OTLP_ENDPOINT: fields.OptionalUrl = ""

    @property
    def is_production(self) -> bool:
        """Real money, strangers at the door."""
        return self.ENVIRONMENT == "production"

    def agreement_problem(self) -> str | None:
        """Why CHAIN_AGREEMENT does not protect money: a warning in development, refused in production on mainnet."""
        providers = len({node.provider for node in self.nodes()})
        if 2 <= self.CHAIN_AGREEMENT <= providers:
            return None
        return f"CHAIN_AGREEMENT is {self.CHAIN_AGREEMENT}: it must be at least 2 and at most the {providers} providers configured"

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """All webhook secrets that are valid now."""
        return tuple(fields.split(self.STRIPE_WEBHOOK_SECRETS.get_secret_value()))

    @property
    def data_keys(self) -> tuple[bytes, ...]:
        """The keys of DATA_KEYS; in development, where none is set, one that everybody knows."""
        given = tuple(parse_key(item) for item in fields.split(self.DATA_KEYS.get_secret_value()))
        return given or (DEVELOPMENT,)

    @property
    def ring(self) -> KeyRing:
        """What API keys, the audit trail and personal data stand on."""
        return KeyRing(self.data_keys)

    @property
    def jwt_secrets(self) -> tuple[bytes, ...]:
        """What signs wallets' tokens: JWT_SECRETS; in development else a key of DATA_KEYS, or one that this start makes."""
        given = tuple(parse_key(item) for item in fields.split(self.JWT_SECRETS.get_secret_value()))
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
    def hosts(self) -> list[str]:
        """The names and addresses that the API listens at."""
        return fields.split(self.HOST)

    @property
    def local_url(self) -> str:
        """The URL under which a program on this machine reaches the API."""
        host = self.hosts[0]
        host = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not listened at
        return f"http://{f'[{host}]' if ':' in host else host}:{self.PORT}"

    @property
    def origins(self) -> list[str]:
        """Of the dApp; `*`, any, in development alone."""
        return fields.split(self.ALLOWED_ORIGINS)

    @property
    def delivery_senders(self) -> tuple[str, ...]:
        """Observe mode: whose transfers count."""
        return tuple(fields.split(self.DELIVERY_SENDERS))

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


class SettingsError(Exception):
    """The environment cannot be used; `problems` holds a line for each thing wrong, without any value."""

    def __init__(self, problems: list[str]) -> None:
        """All of them at once: nobody likes to fix one and meet the next."""
        super().__init__("; ".join(problems))
        self.problems = problems


def load(**overrides: Any) -> Settings:
    """Read the environment, and the files that it names; SettingsError lists everything that is wrong with them."""
    return _load(overrides, to_run=False)


def load_to_run() -> Settings:
    """The same for a service that is about to serve or work, which needs more than a command. Raises SettingsError."""
    return _load({}, to_run=True)


def _load(overrides: dict[str, Any], *, to_run: bool) -> Settings:
    variables = EnvSettingsSource(Settings).env_vars
    unset = [name for name in Settings.model_fields if name not in overrides]
    texts, problems = cleaning.read(unset, variables)
    files, unreadable = secret_files.read([name for name in secret_names() if name in unset], variables)
    problems += unreadable
    # An empty value of a variable whose default is "not set" says just that: compose files write `${NAME:-}`.
    empty = {name: None for name, text in texts.items() if not text and Settings.model_fields[name].default is None}
    given = dict[str, Any](texts | files | empty, **overrides)
    wrong: set[str] = set()
    try:
        settings = Settings(**given)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False, include_context=False):
            name, text = str(item["loc"][0]), validation_text(item["msg"])
            wrong.add(name)
            problems.append(text if text.startswith(name) else f"{name}: {text}")
        # Whether the others fit together is looked at beside their defaults, so that nobody mends one and meets the next.
        settings = Settings(**given | {name: Settings.model_fields[name].default for name in wrong})
    execute_atomically = problems_of(settings, to_run=to_run)
    problems += [problem for problem in execute_atomically if not wrong.intersection(re.findall(r"\w+", problem))]
    if problems:
        raise SettingsError(problems)
    return settings


def secret_names() -> list[str]:
    """The variables that hold secrets; each may come from the file that its name with `_FILE` names."""
    return [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]
