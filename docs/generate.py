"""Write the parts of the documentation that come from the code: `make docs`.

Each page keeps its handwritten text; only the lines between `<!-- generated: NAME -->` and `<!-- end -->` are replaced. `.env.example`,
`client/src/schema.ts` and `deploy/helm/values.schema.json` are written as a whole. With `--check` nothing is written, and exit status 1 says that a file is stale.
"""

import ast
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from deploy.helm_schema import values_schema
from kit.alarms.model import Definition, Ends
from onramp.alarms.catalog import ALARMS
from onramp.bootstrap.app import routes
from onramp.cli import app
from onramp.config.settings import Settings
from onramp.ops.openapi import typescript

ROOT: Final = Path(__file__).resolve().parents[1]
LAYERS: Final = ("onramp", "treasury", "chain", "kit")

SECTIONS: Final[dict[str, tuple[str, ...]]] = {
    "The service": ("ENVIRONMENT", "HOST", "PORT"),
    "Database and shared state": ("DATABASE_", "REDIS_"),
    "Stripe": ("STRIPE_",),
    "Chain": ("CHAIN_", "MEZO_", "SPECTRUM_", "PUBLIC_", "MUSD_"),
    "Purchases": ("DELIVERY_", "SETTLEMENT_", "OBSERVE_", "PAYOUT_", "SESSION_", "WALLET_"),
    "Treasury": ("HOT_WALLET_", "AWS_", "GCP_", "PAYOUT_CONTRACT", "COLD_", "TREASURY_"),
    "Keys, origins and metrics": ("JWT_", "DATA_", "ALLOWED_", "METRICS_"),
    "What buyers read": ("MERCHANT_", "SUPPORT_"),
    "Mail": ("SMTP_", "MAIL_"),
    "Notifications": ("NOTICE_", "HEARTBEAT_"),
    "Clients, screening and privacy": ("TRUSTED_", "RATE_", "SANCTIONS_", "PRIVACY_", "UNPAID_"),
    "Operator console": ("CONSOLE", "OIDC_"),
    "Commands": ("ONRAMP_",),
    "Running it": ("CHECKOUT_", "LOG_", "SENTRY_", "OTEL_"),
}
"""Section titles of the settings, and the beginnings of the names that belong to each. The longest matching beginning decides."""


def sections() -> dict[str, dict[str, FieldInfo]]:
    """Return all settings by section. Raises LookupError for a setting that belongs to none."""
    result: dict[str, dict[str, FieldInfo]] = {title: {} for title in SECTIONS}
    for name, field in Settings.model_fields.items():
        matches = [
            (len(start), title) for title, starts in SECTIONS.items() for start in starts if name.startswith(start)
        ]
        if not matches:
            raise LookupError(
                f"{name} belongs to no section: add the beginning of its name to SECTIONS in docs/generate.py"
            )
        result[max(matches)[1]][name] = field
    return result


def default_text(field: FieldInfo) -> str:
    """Return a setting's default as the environment would spell it; empty if it is not set."""
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    return "" if value is None else str(value)


def description(name: str, field: FieldInfo) -> str:
    """Return a setting's description as one line. Raises LookupError if it has none."""
    if not field.description:
        raise LookupError(f"{name} has no description")
    return " ".join(field.description.split()).rstrip(".")


def settings_tables() -> str:
    """Return a table of variables, defaults and meanings for each section."""
    parts = []
    for title, fields in sections().items():
        rows = [f"### {title}", "", "| variable | default | meaning |", "|---|---|---|"]
        for name, field in fields.items():
            default = f"`{default_text(field)}`" if default_text(field) else ""
            rows.append(f"| `{name}` | {default} | {_cell(description(name, field))} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def env_example() -> str:
    """Return the text of `.env.example`: each variable with its description and default, commented out."""
    lines = [
        "# Every setting with its default. Nothing loads this file: copy the lines that you change into your shell or platform, without the",
        "# leading `#`. Lists are comma-separated. Secrets are never logged. Written by `make docs`; see docs/configuration.md.",
    ]
    for title, fields in sections().items():
        lines += ["", f"## {title}"]
        for name, field in fields.items():
            text = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", description(name, field))
            text = text[0].upper() + text[1:] + "."
            lines += [
                "",
                *(f"# {line}" for line in textwrap.wrap(text, 118, break_on_hyphens=False, break_long_words=False)),
            ]
            lines.append(f"# {name}={default_text(field)}")
    return "\n".join(lines) + "\n"


def commands(command: Any = None, path: str = "onramp") -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, with what a person types for it."""
    command = command or typer.main.get_command(app)
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, child in command.commands.items():
        yield from commands(child, f"{path} {name}")


def command_reference() -> str:
    """Return a section for each command: its help, its example, its arguments and options."""
    parts = []
    for path, command in commands():
        text, examples = _help(command)
        arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
        options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
        usage = " ".join([path, *(["[OPTIONS]"] if options else []), *(_metavar(argument) for argument in arguments)])
        lines = [f"### `{path}`", "", text, "", "```console", f"$ {usage}", "```"]
        if examples:
            lines += ["", "Example: " + ", ".join(f"`{example}`" for example in examples)]
        rows = [(f"`{_metavar(argument)}`", argument) for argument in arguments]
        rows += [
            (", ".join(f"`{form}`" for form in (*option.opts, *option.secondary_opts)), option) for option in options
        ]
        if rows:
            lines += ["", "| argument or option | default | meaning |", "|---|---|---|"]
            lines += [
                f"| {name} | {_default(parameter)} | {_cell(_plain(parameter.help or ''))} |"
                for name, parameter in rows
            ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def command_list() -> str:
    """Return a table of all commands with the first sentence of each."""
    rows = [
        f"| [`{path}`](#{path.replace(' ', '-')}) | {_cell(_first(_help(command)[0]))} |"
        for path, command in commands()
    ]
    return "\n".join(["| command | does |", "|---|---|", *rows])


def route_table() -> str:
    """Return a table of all routes: method and path, who may use it, and what it does."""
    table = routes(Settings.model_construct(CONSOLE="on"))
    rows = [f"| `{route.method} {route.path}` | {route.access} | {_cell(route.summary)} |" for route in table]
    return "\n".join(["| route | access | does |", "|---|---|---|", *rows])


def client_types() -> str:
    """Return the client's types of the routes that it calls."""
    return typescript(tuple(routes(Settings.model_construct())))


def package_map() -> str:
    """Return a table of all packages of each layer, described by the first line of each package's docstring."""
    parts = []
    for layer in LAYERS:
        rows = [f"### `{layer}/`", "", _summary(ROOT / layer / "__init__.py"), "", "| package | holds |", "|---|---|"]
        packages = [path for path in sorted((ROOT / layer).rglob("__init__.py")) if path.parent != ROOT / layer]
        rows += [f"| `{path.parent.relative_to(ROOT).as_posix()}/` | {_cell(_summary(path))} |" for path in packages]
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def decision_index() -> str:
    """Return a table of all decision records by number and title."""
    rows = []
    for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")):
        title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        rows.append(f"| {path.name[:4]} | [{title}]({path.name}) |")
    return "\n".join(["| # | decision |", "|---|---|", *rows])


def alarm_table() -> str:
    """Return a table of all alarms: severity, what happened, what to do, and how each ends."""
    rows = [
        f"| `{alarm.name}` | {alarm.severity} | {_cell(alarm.sentence)} | {_cell(_advice(alarm))} | {_ending(alarm)} |"
        for alarm in ALARMS
    ]
    return "\n".join(["| alarm | severity | what happened | what to do | ends |", "|---|---|---|---|---|", *rows])


BLOCKS: Final = {
    "docs/configuration.md": {"settings": settings_tables},
    "docs/command-line.md": {"list": command_list, "reference": command_reference},
    "docs/api.md": {"routes": route_table},
    "docs/architecture.md": {"packages": package_map},
    "docs/decisions/README.md": {"decisions": decision_index},
    "docs/runbook.md": {"alarms": alarm_table},
}


def pages() -> dict[str, str]:
    """Return the current text of every file that has generated parts, by its path below the root."""
    result = {
        ".env.example": env_example(),
        "client/src/schema.ts": client_types(),
        "deploy/helm/values.schema.json": values_schema(),
    }
    for name, blocks in BLOCKS.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        for block, make in blocks.items():
            pattern = rf"(?<=<!-- generated: {block} -->\n).*?(?=<!-- end -->)"
            # Backslashes of the content are doubled, because `subn` would read them as escapes.
            text, count = re.subn(pattern, f"\n{make()}\n\n".replace("\\", r"\\"), text, flags=re.DOTALL)
            if count != 1:
                raise LookupError(f"{name} needs one block `<!-- generated: {block} -->` ... `<!-- end -->`")
        result[name] = text
    return result


def stale() -> list[str]:
    """Return the paths of the files that differ from what the code says."""
    return [
        name
        for name, text in pages().items()
        if not (ROOT / name).exists() or (ROOT / name).read_text(encoding="utf-8") != text
    ]


def _help(command: Any) -> tuple[str, list[str]]:
    """Return a command's help without its examples, and the examples."""
    raw = " ".join((command.help or "").split())
    text, _, examples = raw.partition("Example: ")
    return _plain(text).strip(), re.findall(r"\[bold\](.*?)\[/bold\]", examples)


def _plain(text: str) -> str:
    return re.sub(r"\[(bold|/bold)\]", "`", " ".join(text.split()))


def _first(text: str) -> str:
    return re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _advice(alarm: Definition) -> str:
    """Return what to do about an alarm: the command, the sentences, and a link to the section that explains more."""
    command = re.sub(r"\{[a-z_]+\}", "ID", alarm.command)
    section = "" if alarm.anchor == "alarms" else f"[{_heading(alarm.anchor)}](#{alarm.anchor})"
    return " ".join(filter(None, (f"`{command}`." if command else "", alarm.action, section)))


def _heading(anchor: str) -> str:
    """Return the runbook's heading with this anchor. Raises LookupError if no heading has it."""
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        if re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") == anchor:
            return str(heading)
    raise LookupError(f"docs/runbook.md has no section #{anchor}")


def _ending(alarm: Definition) -> str:
    if alarm.ends is Ends.EVENT and alarm.expires is not None:
        return f"acknowledged, or after {alarm.expires.days} days"
    return "with its cause, or its process" if alarm.per_process else "with its cause"


def _metavar(argument: Any) -> str:
    name = (argument.metavar or argument.name or "").upper().strip("[]")
    name += "..." if argument.nargs == -1 else ""
    return name if argument.required else f"[{name}]"


def _default(parameter: Any) -> str:
    value = parameter.default
    if parameter.required or value is None or value is False or value in ((), "", []) or callable(value):
        return "required" if parameter.required and parameter.param_type_name == "option" else ""
    if value is True:
        return f"`{parameter.opts[0]}`"
    return f"`{value}`"


def _summary(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n\n")[0].replace("\n", " ")


def main(arguments: list[str]) -> int:
    """Write the files, or with `--check` name the stale ones; return the exit status."""
    if arguments == ["--check"]:
        names = stale()
        if names:
            print(f"docs: stale: {', '.join(names)}; run `make docs` and commit the result", file=sys.stderr)
        return 1 if names else 0
    for name, text in pages().items():
        (ROOT / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
