"""Hand the parts that passkeys use to their routes, and to each command whose plan they may sign."""

from aiohttp import web

from onramp.auth.api_keys.plans import plan_confirmation
from onramp.auth.passkeys import approvals
from onramp.auth.passkeys.dependencies import PASSKEYS, PasskeyServices
from onramp.auth.passkeys.party import Address
from onramp.bootstrap.container import Container
from onramp.treasury.dependencies import TREASURY
from onramp.treasury.plans import TreasuryPlans


def fill_passkeys(app: web.Application, container: Container) -> None:
    """Store the services of passkeys; the treasury's have to be stored before."""
    settings = container.settings
    app[PASSKEYS] = PasskeyServices(
        address=Address(settings.ONRAMP_API_URL, settings.PORT, settings.is_production),
        database=container.database,
        clock=container.clock,
        ids=container.ids,
        ring=settings.ring,
        check_code=container.api_keys.check_code,
        planners={
            **TreasuryPlans(app[TREASURY]).planners(),
            "key.confirm": plan_confirmation,
            approvals.ENROL: approvals.plan_enrolment,
        },
    )
