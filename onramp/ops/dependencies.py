"""The parts that the routes for platforms and operators use; `onramp.bootstrap` fills them in."""

from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry

from onramp.config.settings import Settings
from onramp.ops.health import Health


@dataclass(frozen=True, slots=True)
class OpsServices:
    """The parts that the routes for platforms and operators use."""

    settings: Settings
    registry: CollectorRegistry
    health: Health


OPS = web.AppKey("ops", OpsServices)
