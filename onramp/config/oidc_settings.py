"""The settings of the login to the console through an OpenID Connect provider."""

from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from kit import persons
from onramp.config import fields
from onramp.config.person_rules import ID_PREFIXES, RESERVED

CONSOLE_ROLES: Final = ("viewer", "operator", "approver", "admin")
CALLBACK: Final = "/console/oidc/callback"
"""The path to which the provider sends the browser back."""


def pairs(text: str) -> Mapping[str, str]:
    """Return the pairs of a comma-separated value of the form `name=value`, in order. The last `=` of an item separates.

    Raises ValueError for an item without both, and for a name that is given twice.
    """
    found: dict[str, str] = {}
    for item in fields.split(text):
        name, _, value = (part.strip() for part in item.rpartition("="))
        if not name or not value:
            raise ValueError("takes comma-separated pairs such as name=value")
        if name in found:
            raise ValueError("names something twice")
        found[name] = value
    return found


def _roles(text: str) -> str:
    if not set(pairs(text).values()) <= set(CONSOLE_ROLES):
        raise ValueError(f"takes comma-separated pairs group=role; a role is one of {', '.join(CONSOLE_ROLES)}")
    return text


def _persons(text: str) -> str:
    names = list(pairs(text).values())
    for name in names:
        rule = persons.name_problem(name, reserved=RESERVED, id_prefixes=ID_PREFIXES)
        if rule is not None or len(name) > 80:
            raise ValueError("names a person whose name " + (rule or "is longer than 80 characters"))
        if persons.find_lookalike(name, names) is not None:
            raise ValueError("names two persons whose names look the same; write one person the same each time")
    return text


class OidcSettings(BaseModel):
    """The variables of the login through an OpenID Connect provider. A part of `Settings`."""

    OIDC_ISSUER: fields.OptionalUrl = Field(
        default="",
        description="The issuer of the OpenID Connect provider through which persons may log in to the console, such as"
        " `https://example.okta.com`; its `/.well-known/openid-configuration` is read. If empty, they log in by API key. See"
        " [Log in through a provider](console.md#log-in-through-a-provider).",
    )
    OIDC_CLIENT_ID: str = Field(
        default="", description="The id of the console's client at the provider. Required with `OIDC_ISSUER`."
    )
    OIDC_CLIENT_SECRET: fields.Token = Field(
        default=SecretStr(""),
        description="The secret of that client; empty for a public client, which proves itself by PKCE alone.",
    )
    OIDC_NAME: str = Field(
        default="",
        max_length=40,
        description="What the login page calls the provider, such as `Okta`; by default its host name.",
    )
    OIDC_SCOPES: str = Field(
        default="openid profile",
        pattern=r"^openid( [!-~]+)*$",
        description="The scopes that are asked for. Some providers send groups only with another one, such as `groups`.",
    )
    OIDC_GROUPS_CLAIM: str = Field(
        default="groups",
        min_length=1,
        description="The claim of the ID token that holds a person's groups: a list, or one text. A path such as `realm_access.roles` leads into"
        " a nested one; `hd` is the domain at Google.",
    )
    OIDC_ROLES: Annotated[str, AfterValidator(_roles)] = Field(
        default="",
        description="Groups and the role that each gives, comma-separated: `treasury-approvers=approver,treasury=operator,staff=viewer`. The first"
        " one that a person has counts, and a person without any cannot log in. Required with `OIDC_ISSUER`.",
    )
    OIDC_PERSONS: Annotated[str, AfterValidator(_persons)] = Field(
        default="",
        description="Who the provider's persons are, comma-separated: `00u1ab2=ada,00u3cd4=grace`, each by the claim `sub`, which never changes,"
        " and by the same name as on API keys. A person who is not named here only reads: otherwise somebody with a key and a login would count"
        " as two persons and approve what they proposed.",
    )
    OIDC_REDIRECT_URL: fields.OptionalUrl = Field(
        default="",
        description="The address to which the provider sends the browser back, as registered there; by default `ONRAMP_API_URL` followed by"
        f" `{CALLBACK}`.",
    )

    @property
    def oidc_name(self) -> str | None:
        """The provider's name for people; None if there is no provider."""
        return (self.OIDC_NAME or urlsplit(self.OIDC_ISSUER).hostname) if self.OIDC_ISSUER else None

    def oidc_problems(self, *, is_production: bool, public_origin: str) -> list[str]:
        """Return a sentence for each reason why nobody could log in through the provider, or not safely."""
        if not self.OIDC_ISSUER:
            return []
        required = {"OIDC_CLIENT_ID": self.OIDC_CLIENT_ID, "OIDC_ROLES": self.OIDC_ROLES}
        problems = [f"{name} is required with OIDC_ISSUER" for name, value in required.items() if not value]
        if urlsplit(self.OIDC_ISSUER).query or urlsplit(self.OIDC_ISSUER).fragment:
            problems.append("OIDC_ISSUER takes an issuer, without a query and without a fragment")
        redirect = self.OIDC_REDIRECT_URL
        if redirect and urlsplit(redirect).path != CALLBACK:
            problems.append(f"OIDC_REDIRECT_URL must end in {CALLBACK}")
        if is_production:
            if not self.OIDC_ISSUER.startswith("https://"):
                problems.append("OIDC_ISSUER must begin with https:// in production")
            if not (redirect or public_origin):
                problems.append("ONRAMP_API_URL or OIDC_REDIRECT_URL is required with OIDC_ISSUER in production")
            if redirect and not redirect.startswith("https://"):
                problems.append("OIDC_REDIRECT_URL must begin with https:// in production")
        return problems
