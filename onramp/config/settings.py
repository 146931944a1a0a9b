"""All settings of the service. `onramp.config.loader` reads them from the environment."""

from pydantic_settings import BaseSettings, SettingsConfigDict

from chain.settings import ChainSettings
from onramp.config.console_settings import ConsoleSettings
from onramp.config.mail_settings import MailSettings
from onramp.config.notice_settings import NoticeSettings
from onramp.config.oidc_settings import OidcSettings
from onramp.config.protection_settings import ClientSettings, CustodySettings
from onramp.config.sales_settings import PurchaseSettings, StripeSettings
from onramp.config.service_settings import ServiceSettings
from treasury.settings import TreasurySettings
from treasury.settlements.settings import SettlementSettings


class Settings(
    BaseSettings,
    ClientSettings,
    CustodySettings,
    TreasurySettings,
    SettlementSettings,
    PurchaseSettings,
    ChainSettings,
    StripeSettings,
    MailSettings,
    NoticeSettings,
    OidcSettings,
    ConsoleSettings,
    ServiceSettings,
):
    """Every variable, under its own name. `docs/configuration.md` and `.env.example` are generated from it."""

    model_config = SettingsConfigDict(extra="ignore", case_sensitive=True, hide_input_in_errors=True)

    def agreement_problem(self) -> str | None:
        """Return why CHAIN_AGREEMENT does not protect money; None if it does. Production on mainnet refuses it; elsewhere it is a warning."""
        providers = len({node.provider for node in self.nodes()})
        if 2 <= self.CHAIN_AGREEMENT <= providers:
            return None
        return f"CHAIN_AGREEMENT is {self.CHAIN_AGREEMENT}: it must be at least 2 and at most the {providers} providers configured"
