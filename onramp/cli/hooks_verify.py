"""`onramp hooks verify`: whether a received message is authentic, and if not, why."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from onramp.cli.hooks import BASE
from onramp.cli.options import Json
from onramp.cli.output import CommandError, print_json, settings

if TYPE_CHECKING:
    from onramp.hooks.verification import Verdict

_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


def verify(
    secret: Annotated[
        str,
        typer.Option(
            envvar="ONRAMP_WEBHOOK_SECRET", help="whsec_... or a public key whpk_...; asked for if it is not given."
        ),
    ] = "",
    body: Annotated[str, typer.Option(help="The file with the raw body; - reads it from standard input.")] = "-",
    headers: Annotated[
        Path | None, typer.Option(help="A file with the request's headers, each on a line as `name: value`.")
    ] = None,
    header: Annotated[list[str] | None, typer.Option(help="One header as `name: value`; may be repeated.")] = None,
    *,
    ignore_time: Annotated[
        bool, typer.Option("--ignore-time", help="Verify a message that was received earlier.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Verify the signature of a received message, and say why it is not valid. Nothing of the secret is printed.

    If ONRAMP_API_KEY is an admin's, a body that does not match is compared with the message that was sent.

    Example: [bold]onramp hooks verify --body body.json --headers headers.txt[/bold]
    """
    from onramp.hooks.verification import Verdict
    from onramp.hooks.verification import verify as verify_message

    raw, received = _read_body(body), _read_headers(headers, header or [])
    if not secret:
        secret = typer.prompt("Secret (whsec_...)", hide_input=True, err=True)
    now = datetime.now(UTC)
    if ignore_time and received.get(_HEADERS[1], "").isdecimal():
        now = _moment(received[_HEADERS[1]]) or now
    verdict = verify_message(received, raw, secret.strip(), now)
    if verdict.code in {"secret_or_body", "id_changed"}:
        verdict = _compared(received[_HEADERS[0]], raw) or verdict
    elif verdict.ok and ignore_time:
        verdict = Verdict("ok", "The signature is valid; its time was not checked.")
    if as_json:
        print_json({"ok": verdict.ok, "code": verdict.code, "detail": verdict.reason})
    if not verdict.ok:
        raise CommandError(f"onramp: {verdict.code}: {verdict.reason}")
    if not as_json:
        typer.echo(verdict.reason)


def _compared(message_id: str, raw: bytes) -> "Verdict | None":
    """Return the verdict after a comparison with the message that the service sent; None without an API key or a service that answers."""
    from onramp.cli.remote import call
    from onramp.hooks.verification import Verdict

    try:
        if not settings().ONRAMP_API_KEY.get_secret_value():
            return None
        message: dict[str, Any] = call("GET", f"{BASE}/messages/{quote(message_id, safe='')}")
    except CommandError as error:
        if error.lines[0].startswith("onramp: not_found:"):
            return Verdict("id_changed", "The service has sent no message with this webhook-id in the last 30 days.")
        return None
    sent = message["body"].encode()
    if sent == raw:
        return Verdict(
            "secret_differs",
            "The body is exactly what was sent. So the secret is another one, of another endpoint or from before a rotation, "
            "or webhook-timestamp is not that of this message.",
        )
    same = next((i for i, (a, b) in enumerate(zip(sent, raw, strict=False)) if a != b), min(len(sent), len(raw)))
    return Verdict(
        "body_changed",
        f"The body differs from what was sent, from byte {same} on: {len(sent)} bytes were sent, {len(raw)} received. "
        "Verify the raw bytes of the request, before anything parses them as JSON.",
    )


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _read_body(name: str) -> bytes:
    try:
        return typer.get_binary_stream("stdin").read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise CommandError(f"onramp: the body cannot be read from {name}: {error.strerror}.") from None


def _read_headers(file: Path | None, single: list[str]) -> dict[str, str]:
    lines = list(single)
    if file is not None:
        try:
            lines += file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise CommandError(f"onramp: the headers cannot be read from {file}: {error.strerror}.") from None
    pairs = (line.partition(":") for line in lines if ":" in line)
    # As curl prints them, a line may begin with > and a space.
    return {name.strip("> ").lower(): value.strip() for name, _, value in pairs}
