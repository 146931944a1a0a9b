"""`onramp hooks`: endpoints of outgoing webhooks and their deliveries. Each command is one request with the key in ONRAMP_API_KEY."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from onramp.cli.options import Json, Otp
from onramp.cli.output import print_json, print_more, print_pairs, print_table
from onramp.cli.remote import call

hooks_app = typer.Typer(
    help="Tell other servers of purchases: outgoing webhooks. Needs the ONRAMP_API_KEY of an admin.\n\n"
    "Example: [bold]onramp hooks create --url https://shop.example/hooks --events session.completed[/bold]",
    no_args_is_help=True,
)
BASE: Final = "/api/v1/admin/webhooks"
EndpointId = Annotated[str, typer.Argument(metavar="ID", help="whk_...")]
DeliveryId = Annotated[str, typer.Argument(metavar="ID", help="dlv_...")]
Url = Annotated[
    str, typer.Option(help="Where messages are posted to: https and public; in development also this computer.")
]
Events = Annotated[
    str, typer.Option(help="Types of events, separated by commas, such as session.completed; * for every type.")
]


def endpoint_path(endpoint_id: str, action: str = "") -> str:
    """Return the path of an endpoint's route, followed by `action`, such as `/rotate`."""
    if not endpoint_id.startswith("whk_"):
        raise typer.BadParameter("must be the id of an endpoint (whk_...)", param_hint="ID")
    return f"{BASE}/{quote(endpoint_id, safe='')}{action}"


def split_events(events: str) -> list[str]:
    """Return the types of events that an option lists, separated by commas."""
    return [event.strip() for event in events.split(",") if event.strip()]


def show_endpoint(endpoint: dict[str, Any], *, as_json: bool) -> None:
    """Print one endpoint, and its secret if the response contains one."""
    if as_json:
        print_json(endpoint)
        return
    names = ("url", "status", "disabledReason", "publicKey", "failingSince", "lastSuccessAt", "createdAt", "secret")
    pairs = [(name, endpoint.get(name)) for name in names]
    print_pairs([("events", ", ".join(endpoint["events"])), *pairs], title=endpoint["id"])
    if "secret" in endpoint:
        typer.echo("The secret is shown only now. Store it where the receiver verifies signatures.")


def create(
    url: Url,
    events: Events = "*",
    otp: Otp = "",
    *,
    ed25519: Annotated[
        bool, typer.Option("--ed25519", help="Sign with a public key as well, so that the receiver needs no secret.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Create an endpoint, and show its secret once. A shop needs session.completed alone: the MUSD is delivered and proved.

    Example: [bold]onramp hooks create --url https://shop.example/hooks --events session.completed,session.attention[/bold]
    """
    body: dict[str, Any] = {"url": url, "events": split_events(events)}
    if ed25519:
        body["ed25519"] = True
    show_endpoint(call("POST", BASE, body, otp=otp), as_json=as_json)


def list_endpoints(*, as_json: Json = False) -> None:
    """List the endpoints.

    Example: [bold]onramp hooks list[/bold]
    """
    page = call("GET", BASE)
    if as_json:
        print_json(page)
        return
    rows = [
        (
            endpoint["id"],
            endpoint["url"],
            ", ".join(endpoint["events"]),
            endpoint["status"] if endpoint["disabledReason"] is None else f"disabled: {endpoint['disabledReason']}",
            endpoint["lastSuccessAt"] or "never",
        )
        for endpoint in page["data"]
    ]
    print_table(
        ("id", "url", "events", "status", "last success"),
        rows,
        empty="No endpoints yet. Create one with `onramp hooks create --url ...`.",
    )


def rotate(
    endpoint_id: EndpointId,
    overlap_seconds: Annotated[
        int, typer.Option(min=0, max=604_800, help="How long messages are signed with the old secret as well.")
    ] = 86_400,
    otp: Otp = "",
    *,
    as_json: Json = False,
) -> None:
    """Give an endpoint a new secret, and show it once. Each message carries both signatures until the overlap ends.

    Example: [bold]onramp hooks rotate whk_4k... --overlap-seconds 3600[/bold]
    """
    body = {"overlapSeconds": overlap_seconds}
    show_endpoint(call("POST", endpoint_path(endpoint_id, "/rotate"), body, otp=otp), as_json=as_json)


def _show_delivery(delivery: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(delivery)
        return
    names = ("type", "subject", "status", "messageId", "webhookId", "createdAt", "nextAttemptAt", "endedAt", "response")
    print_pairs([(name, delivery.get(name)) for name in names], title=delivery["id"])
    typer.echo(f"See what becomes of it: onramp hooks deliveries {delivery['webhookId']}")


def send_test(endpoint_id: EndpointId, otp: Otp = "", *, as_json: Json = False) -> None:
    """Send a test message (webhook.test) to an endpoint, whatever it subscribed to.

    Example: [bold]onramp hooks test whk_4k...[/bold]
    """
    _show_delivery(call("POST", endpoint_path(endpoint_id, "/test"), otp=otp), as_json=as_json)


def deliveries(
    endpoint_id: EndpointId,
    status: Annotated[str, typer.Option(help="Filter by status: pending, delivered or failed.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=200, help="Maximum number of rows.")] = 20,
    cursor: Annotated[str, typer.Option(help="nextCursor of the previous page.")] = "",
    *,
    as_json: Json = False,
) -> None:
    """List an endpoint's deliveries of the last 30 days, the newest first, each with its last attempt.

    Example: [bold]onramp hooks deliveries whk_4k... --status failed[/bold]
    """
    query = {"limit": limit, "cursor": cursor, "status": status}
    page = call("GET", endpoint_path(endpoint_id, "/deliveries"), query=query)
    if as_json:
        print_json(page)
        return
    rows = [
        (
            delivery["id"],
            delivery["type"],
            delivery["subject"],
            delivery["status"],
            len(delivery["attempts"]),
            _last_attempt(delivery),
            delivery["nextAttemptAt"] or "",
            delivery["createdAt"],
        )
        for delivery in page["data"]
    ]
    print_table(("id", "type", "subject", "status", "tries", "last attempt", "next attempt", "created"), rows)
    print_more(page["nextCursor"])


def _last_attempt(delivery: Mapping[str, Any]) -> str:
    if not delivery["attempts"]:
        return ""
    attempt = delivery["attempts"][-1]
    return attempt["reason"] or f"{attempt['status']} in {attempt['milliseconds']} ms"


def redeliver(delivery_id: DeliveryId, otp: Otp = "", *, as_json: Json = False) -> None:
    """Send one message again. Its webhook-id stays, so a receiver that remembers ids does not process it twice.

    Example: [bold]onramp hooks redeliver dlv_4k...[/bold]
    """
    path = f"{BASE}/deliveries/{quote(delivery_id, safe='')}/redeliver"
    _show_delivery(call("POST", path, otp=otp), as_json=as_json)


def recover(
    endpoint_id: EndpointId,
    since: Annotated[str, typer.Option(help="A time such as 2026-11-30T09:00:00Z, at most 30 days ago.")],
    otp: Otp = "",
    *,
    as_json: Json = False,
) -> None:
    """Send everything again that an endpoint has not accepted since a time, what happened while it was disabled included.

    Example: [bold]onramp hooks recover whk_4k... --since 2026-11-30T09:00:00Z[/bold]
    """
    recovered = call("POST", endpoint_path(endpoint_id, "/recover"), {"since": since}, otp=otp)
    if as_json:
        print_json(recovered)
        return
    typer.echo(f"{recovered['messages']} messages are sent now.")


def _set_status(endpoint_id: str, status: str, otp: str, *, as_json: bool) -> None:
    show_endpoint(call("PATCH", endpoint_path(endpoint_id), {"status": status}, otp=otp), as_json=as_json)


def disable(endpoint_id: EndpointId, otp: Otp = "", *, as_json: Json = False) -> None:
    """Stop sending to an endpoint. What waits is kept, and what happens meanwhile can be recovered.

    Example: [bold]onramp hooks disable whk_4k...[/bold]
    """
    _set_status(endpoint_id, "disabled", otp, as_json=as_json)


def enable(endpoint_id: EndpointId, otp: Otp = "", *, as_json: Json = False) -> None:
    """Send to an endpoint again, beginning with what waits for it. `recover` sends what it has missed.

    Example: [bold]onramp hooks enable whk_4k...[/bold]
    """
    _set_status(endpoint_id, "enabled", otp, as_json=as_json)


def delete(
    endpoint_id: EndpointId,
    otp: Otp = "",
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete an endpoint with its delivery log. What waits for it is never sent.

    Example: [bold]onramp hooks delete whk_4k... --yes[/bold]
    """
    path = endpoint_path(endpoint_id)
    if not yes:
        typer.confirm(f"Delete {endpoint_id}, and never send what waits for it?", abort=True, err=True)
    call("DELETE", path, otp=otp)
    typer.echo(f"{endpoint_id} is deleted.")


COMMANDS: Final[Mapping[str, Callable[..., None]]] = {
    "create": create,
    "list": list_endpoints,
    "rotate": rotate,
    "test": send_test,
    "deliveries": deliveries,
    "redeliver": redeliver,
    "recover": recover,
    "disable": disable,
    "enable": enable,
    "delete": delete,
}
"""The function of each command, by its name after `onramp hooks`."""
