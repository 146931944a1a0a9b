"""The routes of the operators' views."""

from typing import Final

from kit.http.routing import Route
from onramp.operator_views import approvals, events, nodes, notices, overview, purchases, search

ROUTES: Final[tuple[Route, ...]] = (
    *overview.ROUTES,
    *search.ROUTES,
    *purchases.ROUTES,
    *approvals.ROUTES,
    *events.ROUTES,
    *notices.ROUTES,
    *nodes.ROUTES,
)
