"""`onramp keys invite`, `withdraw` and `accept`: links that give an API key once."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from onramp.cli.keys import Name, Person, Role, as_local_operator, parse_key_request, show_key
from onramp.cli.options import Json
from onramp.cli.output import CommandError, print_json, settings
from onramp.cli.remote import api_base, call

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from kit.crypto.keyring import KeyRing
    from onramp.auth.api_keys.service import Author
    from onramp.auth.invitations.service import Invitation


def invite_person(
    role: Role,
    name: Name,
    person: Person = "",
    valid_hours: Annotated[int, typer.Option(min=1, max=168, help="How long the link works.")] = 24,
    *,
    as_json: Json = False,
) -> None:
    """Make a link that gives a key once, so that only its receiver sees the key's secret.

    Example: [bold]onramp keys invite --role approver --name "Ada's laptop" --person ada[/bold]
    """
    from kit.clock import SystemClock
    from kit.ids import RandomIds
    from onramp.auth.invitations import schemas
    from onramp.auth.invitations import service as invitations_service

    key = parse_key_request(role, name, person)
    loaded, token = settings(), invitations_service.new_token()

    async def work(conn: "AsyncConnection", author: "Author", ring: "KeyRing") -> "Invitation":
        return await invitations_service.invite(
            conn,
            author,
            invitation_id=RandomIds().new("inv_"),
            token=token,
            ring=ring,
            role=key.role,
            name=key.name,
            person=key.person or key.name,
            valid_for=timedelta(hours=valid_hours),
        )

    invitation = schemas.with_link(as_local_operator(work), SystemClock().now(), api_base(loaded), token)
    if as_json:
        print_json(invitation.model_dump(mode="json", by_alias=True))
        return
    typer.echo(f"link: {invitation.link}")
    typer.echo(f"It works once, until {invitation.expires_at}. Send it where only {invitation.person} reads it.")


def withdraw_invitation(
    invitation_id: Annotated[str, typer.Argument(metavar="ID", help="inv_..., as in the audit log.")],
) -> None:
    """Close an invitation that was not accepted, such as one that was made with a stolen admin key.

    Example: [bold]onramp keys withdraw inv_4k...[/bold]
    """
    from onramp.auth.invitations import service as invitations_service

    async def work(conn: "AsyncConnection", author: "Author", _ring: "KeyRing") -> "Invitation":
        return await invitations_service.withdraw(conn, author, invitation_id)

    item = as_local_operator(work)
    if item.key_id is not None:
        raise CommandError(
            f"onramp: it was accepted, and its key works; revoke it with `onramp keys revoke {item.key_id}`."
        )
    typer.echo(f"{item.id} is closed: its link gives no key.")


def accept_invitation(
    link: Annotated[str, typer.Argument(metavar="LINK", help="The link, or its part after #.")],
    *,
    as_json: Json = False,
) -> None:
    """Accept an invitation and print its key, once.

    Example: [bold]onramp keys accept https://onramp.example/invitation#oin_...[/bold]
    """
    url, separator, token = link.rpartition("#")
    base = url.removesuffix("/invitation") if separator else ""
    show_key(call("POST", "/api/v1/invitations/accept", {"token": token}, authorised=False, base=base), as_json=as_json)


COMMANDS: Final[Mapping[str, Callable[..., None]]] = {
    "invite": invite_person,
    "withdraw": withdraw_invitation,
    "accept": accept_invitation,
}
