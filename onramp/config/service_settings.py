"""The settings of the service itself: where it listens, what it stores and with which keys, who may call it, what it reports."""

import secrets
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr

from kit.crypto.keyring import KeyRing, parse_key
from onramp.config import fields
from onramp.config.fields import DEVELOPMENT_KEY


class ServiceSettings(BaseModel):
    """The variables of the process: addresses, database, Redis, keys, logs, telemetry. A part of `Settings`."""

    ENVIRONMENT: Literal["development", "production"] = Field(
        default="development",
        description="`development`, or `production`, which requires real secrets and refuses everything made for development.",
    )
    HOST: fields.Hosts = Field(
        default="127.0.0.1",
        description="Names and addresses that the API listens on, comma-separated; `::` is every IPv6 and IPv4 address, `0.0.0.0` every IPv4 address.",
    )
    PORT: int = Field(
        default=3001, ge=0, le=65535, description="The port that the API listens on; hosting platforms usually set it."
    )
    DATABASE_URL: fields.DatabaseUrl = Field(
        default=SecretStr("sqlite+aiosqlite:///onramp.db"),
        description="The database: SQLite for development, Postgres (`postgres://` or `postgresql://`) for production. The usual libpq parameters"
        " (`sslmode`, `sslrootcert`, `options`, `connect_timeout` and so on) are accepted; an unknown one is refused by name.",
    )
    DATABASE_REPLICA_URL: fields.ReplicaUrl = Field(
        default=SecretStr(""),
        description="A read replica of the database, used for lists, which may be out of date for a few seconds.",
    )
    DATABASE_POOLER: Literal["", "transaction"] = Field(
        default="",
        description="Set to `transaction` if `DATABASE_URL` leads to a pooler in transaction mode, see [Connection poolers](deploying.md#connection-poolers).",
    )
    DATABASE_POOL_SIZE: int = Field(
        default=10,
        ge=5,
        le=200,
        description="The most connections to Postgres in the pool of one process, and as many to the replica. One more sends heartbeats."
        " See [Scaling](scaling.md#connections-to-postgres).",
    )
    REDIS_URL: fields.RedisUrl = Field(
        default=SecretStr(""),
        description="Redis, which counts rate limits for all replicas together under keyed hashes of the clients; without it, or while it does not"
        " answer, each process counts for itself.",
    )
    JWT_SECRETS: fields.Keys = Field(
        default=SecretStr(""),
        description="Keys for the tokens of logged-in wallets, comma-separated, 32 bytes each in hex or URL-safe base64: the first signs, all verify."
        " Required in production; otherwise a key derived from `DATA_KEYS` is used, or one made at each start.",
    )
    DATA_KEYS: fields.Keys = Field(
        default=SecretStr(""),
        description="Keys for stored data, comma-separated, 32 bytes each in hex or URL-safe base64: the first encrypts and signs, all decrypt and"
        " verify. Required in production.",
    )
    ALLOWED_ORIGINS: fields.Origins = Field(
        default="",
        description="Exact origins of the dApps whose pages may call the API, comma-separated. They are normalized as browsers send them; `*` is"
        " accepted only in development.",
    )
    METRICS_TOKEN: fields.Token = Field(
        default=SecretStr(""), description="Bearer token that `/metrics` asks for. Required in production."
    )
    METRICS_PORT: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port where `onramp work` serves `/metrics` and `/health`; 0 serves neither.",
    )
    ONRAMP_API_KEY: fields.Token = Field(
        default=SecretStr(""), description="The API key that the commands of `onramp` send."
    )
    ONRAMP_API_URL: fields.OptionalUrl = Field(
        default="",
        description="Base URL of the API for the commands of `onramp` and for links in invitations and mails; if empty, commands use `http://HOST:PORT`.",
    )
    ONRAMP_REVISION: str = Field(
        default="",
        max_length=64,
        pattern=r"^[A-Za-z0-9._-]*$",
        description="The revision of the source that the image was built from; the image sets it. The metric `onramp_build_info`, the log of each start and"
        " `onramp --version` show it.",
    )
    CHECKOUT_PAGE: bool | None = Field(
        default=None, description="Whether to serve `/checkout`; by default it is served in development only."
    )
    LOG_LEVEL: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severe messages to log: `debug`, `info`, `warning` or `error`."
    )
    LOG_FORMAT: Literal["json", "text"] | None = Field(
        default=None, description="`json` or `text`; by default `json` in production and `text` in development."
    )
    SENTRY_DSN: fields.Dsn = Field(
        default=SecretStr(""),
        description="Sentry DSN; every error and alarm of the log is also sent there, redacted as in the log.",
    )
    OTEL_EXPORTER_OTLP_ENDPOINT: fields.OptionalUrl = Field(
        default="",
        description="Base URL of an OpenTelemetry collector (OTLP over HTTP); it receives a trace of each request under `/api/v1`, with the calls to"
        " Stripe and to nodes, and of what workers log about the purchase that it created.",
    )

    @property
    def is_production(self) -> bool:
        """Whether production safeguards apply."""
        return self.ENVIRONMENT == "production"

    @property
    def data_keys(self) -> tuple[bytes, ...]:
        """The keys of DATA_KEYS; in development, if none is set, the publicly known development key."""
        keys = tuple(parse_key(item) for item in fields.split(self.DATA_KEYS.get_secret_value()))
        return keys or (DEVELOPMENT_KEY,)

    @property
    def ring(self) -> KeyRing:
        """The key ring for API keys, the audit log and personal data."""
        return KeyRing(self.data_keys, "onramp")

    @property
    def jwt_secrets(self) -> tuple[bytes, ...]:
        """The keys that sign wallets' tokens: JWT_SECRETS; in development otherwise derived from DATA_KEYS, or random."""
        keys = tuple(parse_key(item) for item in fields.split(self.JWT_SECRETS.get_secret_value()))
        if keys:
            return keys
        if self.DATA_KEYS.get_secret_value():
            return tuple(key.secret for key in self.ring.all("wallet-tokens"))
        return (secrets.token_bytes(32),)

    @property
    def checkout_is_served(self) -> bool:
        """Whether the checkout page is served: by default in development only."""
        return not self.is_production if self.CHECKOUT_PAGE is None else self.CHECKOUT_PAGE

    @property
    def hosts(self) -> list[str]:
        """The names and addresses on which the API listens."""
        return fields.split(self.HOST)

    @property
    def local_url(self) -> str:
        """The URL under which a program on this machine reaches the API."""
        host = self.hosts[0]
        host = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not listened at
        return f"http://{f'[{host}]' if ':' in host else host}:{self.PORT}"

    @property
    def public_origin(self) -> str:
        """The origin of ONRAMP_API_URL, such as https://pay.example; empty if it is not set."""
        parts = urlsplit(self.ONRAMP_API_URL)
        return f"{parts.scheme}://{parts.netloc}".lower() if self.ONRAMP_API_URL else ""

    @property
    def origins(self) -> list[str]:
        """The origins of ALLOWED_ORIGINS; `*`, which allows any, in development only."""
        return fields.split(self.ALLOWED_ORIGINS)
