"""`onramp keys invite`, `withdraw` and `accept`: links that yield an API key once."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any, Final

import typer

from onramp.cli.keys import Name, Person, Role, as_local_operator, parsed_request, show_key_response
from onramp.cli.options import Json
from onramp.cli.output import CommandError, print_json, settings
from onramp.cli.remote import api_base, call


def invite_person(
    role: Role,
    name: Name,
    person: Person = "",
    valid_hours: Annotated[int, typer.Option(min=1, max=168, help="How long the link works.")] = 24,
    *,
    as_json: Json = False,
) -> None:
    """Make a link that yields a key once, so that its secret is seen by its receiver alone.

    Example: [bold]onramp keys invite --role approver --name "Ada's laptop" --person ada[/bold]
    """
    from kit.clock import SystemClock
    from kit.ids import RandomIds
    from onramp.auth.invitations import schemas
    from onramp.auth.invitations import service as invitations_service

    asked = parsed_request(role, name, person)
    loaded, token = settings(), invitations_service.new_token()

    async def work(connection: Any, author: Any, ring: Any) -> Any:
        return await invitations_service.invite(
            connection,
            author,
            invitation_id=RandomIds().new("inv_"),
            token=token,
            ring=ring,
            role=asked.role,
            name=asked.name,
            person=asked.person or asked.name,
            valid_for=timedelta(hours=valid_hours),
        )

    made = schemas.with_link(as_local_operator(work), SystemClock().now(), api_base(loaded), token)
    if as_json:
        print_json(made.model_dump(mode="json", by_alias=True))
        return
    typer.echo(f"link: {made.link}")
    typer.echo(f"It works once, until {made.expires_at}. Send it where only {made.person} reads it.")


def withdraw_invitation(
    invitation_id: Annotated[str, typer.Argument(metavar="ID", help="inv_..., as the audit trail names it.")],
) -> None:
    """Close an invitation that nobody took, such as one that a stolen admin key made.

    Example: [bold]onramp keys withdraw inv_4k...[/bold]
    """
    from onramp.auth.invitations import service as invitations_service

    async def work(connection: Any, author: Any, _ring: Any) -> Any:
        return await invitations_service.withdraw(connection, author, invitation_id)

    item = as_local_operator(work)
    if item.key_id is not None:
        raise CommandError(f"onramp: it was taken, and its key works: `onramp keys revoke {item.key_id}` ends that.")
    typer.echo(f"{item.id} is closed: its link yields no key.")


def accept_invitation(
    link: Annotated[str, typer.Argument(metavar="LINK", help="The link, or what stands in it behind #.")],
    *,
    as_json: Json = False,
) -> None:
    """Take the key of an invitation, once.

    Example: [bold]onramp keys accept https://onramp.example/invitation#oin_...[/bold]
    """
    base, mark, token = link.rpartition("#")
    where = base.removesuffix("/invitation") if mark else ""
    show_key_response(
        call("POST", "/api/v1/invitations/accept", {"token": token}, authorised=False, base=where), as_json=as_json
    )


INVITATIONS: Final[Mapping[str, Callable[..., None]]] = {
    "invite": invite_person,
    "withdraw": withdraw_invitation,
    "accept": accept_invitation,
}
