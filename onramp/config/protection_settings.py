"""The settings that protect the service and its buyers: keys held elsewhere, the policy, rate limits, screening, retention."""

from pathlib import Path

from pydantic import BaseModel, Field

from onramp.config import fields


class CustodySettings(BaseModel):
    """The variables of cloud keys and of the policy file. A part of `Settings`."""

    AWS_KMS_KEY_ID: str = Field(
        default="",
        description="`aws-kms`: the id, ARN or alias of the hot wallet's key. Region, credentials and `AWS_ENDPOINT_URL_KMS` are read by the AWS SDK.",
    )
    GCP_KMS_KEY_VERSION: fields.KeyVersion = Field(
        default="",
        description="`gcp-kms`: the full resource name of the hot wallet's key version. Google's SDK finds the credentials.",
    )
    GCP_KMS_ENDPOINT: fields.HostAndPort = Field(
        default="",
        description="`gcp-kms`: host and port of a test server to use instead of Google; refused in production.",
    )
    TREASURY_POLICY: Path = Field(
        default=Path("treasury.toml"),
        description="The file of the treasury's policy; in development it may be missing if this is not set.",
    )


class ClientSettings(BaseModel):
    """The variables of proxies, rate limits, screening and retention. A part of `Settings`."""

    TRUSTED_PROXIES: fields.Networks = Field(
        default="", description="Networks of the proxies whose `X-Forwarded-For` is believed, comma-separated."
    )
    RATE_LIMIT_CREATE: fields.Rate = Field(
        default="30/minute",
        description="New purchases of one client, in the notation of the `limits` library; if empty, there is no limit. A client is an IPv4 address"
        " or an IPv6 /56; an IPv4 /24 and an IPv6 /48 get eight times as much, for all limits per client.",
    )
    RATE_LIMIT_CREATE_TOTAL: fields.Rate = Field(
        default="600/minute",
        description="New purchases of all clients together, without those made with an API key, each of which may make as many on its own; never less"
        " than one client may make. If this or `RATE_LIMIT_CREATE` is empty, there is no limit.",
    )
    RATE_LIMIT_READ: fields.Rate = Field(
        default="600/minute",
        description="Requests of one client, API key or wallet to each other route under `/api/v1`; all wallets behind one address together get twice"
        " as much. It also limits refused credentials of one address over all routes.",
    )
    RATE_LIMIT_AUTH: fields.Rate = Field(
        default="20/minute", description="Requests of one client to each route of login and invitations."
    )
    SANCTIONS_LIST: str = Field(
        default="",
        description="A file of addresses that nothing is sold or paid to, see [Screening](treasury-policy.md#screening); if empty, no list is used.",
    )
    SANCTIONS_ORACLE: fields.OptionalAddress = Field(
        default="",
        description="A contract on this chain that is asked `isSanctioned(address)` as well; if empty, none is asked.",
    )
    PRIVACY_RETENTION_DAYS: int = Field(
        default=90, ge=1, le=3650, description="Days after which the e-mail address of a purchase is deleted."
    )
    UNPAID_RETENTION_DAYS: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="Days after its end when an unpaid purchase is deleted, so that strangers cannot fill the database. If it is paid even later, it"
        " is rebuilt from what Stripe stores.",
    )
