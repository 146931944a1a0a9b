"""Resolutions over HTTP: the explanations that persons give for missing coins and unmatched transactions."""

from typing import Any

from aiohttp import web

from kit.http.documents import reply
from kit.http.parsing import body_of
from kit.http.routing import Route
from onramp.treasury.command import command
from onramp.treasury.common import BASE, wallet_of
from onramp.treasury.dependencies import TREASURY
from onramp.treasury.schemas import resolutions as schemas
from treasury.core.assets import MUSD_DECIMALS
from treasury.incidents import service as incidents_service


async def resolve(request: web.Request) -> web.StreamResponse:
    """Explain missing coins or an unmatched transaction; the second person who confirms it ends the alarm."""
    services, body = request.app[TREASURY], body_of(request, schemas.ResolutionRequest)
    wallet = wallet_of(services)
    async with command(request, "answer", body.subject) as cmd:
        policy = services.policy
        decimals = MUSD_DECIMALS if policy is None else (await policy.decimals(cmd.conn)).get(body.subject)
        resolution = await incidents_service.resolve(
            cmd.conn, wallet, body.subject, cmd.actor, note=body.note, now=cmd.now()
        )
        facts: dict[str, Any] = {
            "status": resolution.status,
            "amount": str(resolution.amount),
            "askedBy": resolution.asked_by,
        }
        cmd.record(body.subject, None, facts)
    return reply(schemas.resolution(resolution, decimals))


ROUTES = (
    Route(
        "POST",
        BASE + "/answer",
        resolve,
        access="approver",
        summary="Explain missing coins or an unmatched transaction; two persons end the alarm.",
        name="answer",
        signed_action="incident.answer",
        body=schemas.ResolutionRequest,
        response=schemas.ResolutionResponse,
        responses={404: "No such transaction.", 409: "`self_approval`, or `not_possible`."},
        codes={404: ("not_found",), 409: ("self_approval", "not_possible")},
    ),
)
