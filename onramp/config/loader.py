"""Read the settings from the environment and the files that it names. Every problem is reported at once, and no value is shown."""

import re
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from kit.validation import validation_text
from onramp.config import cleaning, secret_files
from onramp.config.settings import Settings
from onramp.config.validation import problems_of


class SettingsError(Exception):
    """The environment cannot be used. `problems` holds a line for each problem, without any value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def load(**overrides: Any) -> Settings:
    """Read the settings for a command; `overrides` take precedence over the environment. Raises SettingsError."""
    return _load(overrides, to_run=False)


def load_to_run() -> Settings:
    """Read the settings for a process that serves or works: it needs some that other commands do not. Raises SettingsError."""
    return _load({}, to_run=True)


def _load(overrides: dict[str, Any], *, to_run: bool) -> Settings:
    variables = EnvSettingsSource(Settings).env_vars
    unset = [name for name in Settings.model_fields if name not in overrides]
    texts, problems = cleaning.read(unset, variables)
    files, unreadable = secret_files.read([name for name in secret_names() if name in unset], variables)
    problems += unreadable
    # Where the default is "not set", an empty value means the same: compose files write `${NAME:-}`.
    empty = {name: None for name, text in texts.items() if not text and Settings.model_fields[name].default is None}
    values = dict[str, Any](texts | files | empty, **overrides)
    invalid: set[str] = set()
    try:
        settings = Settings(**values)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False, include_context=False):
            name, text = str(item["loc"][0]), validation_text(item["msg"])
            invalid.add(name)
            problems.append(text if text.startswith(name) else f"{name}: {text}")
        # The other values are checked against each other too, so that all problems are reported together.
        settings = Settings(**values | {name: Settings.model_fields[name].default for name in invalid})
    conflicts = problems_of(settings, to_run=to_run)
    problems += [problem for problem in conflicts if not invalid.intersection(re.findall(r"\w+", problem))]
    if problems:
        raise SettingsError(problems)
    return settings


def secret_names() -> list[str]:
    """Return the variables that hold secrets. Each may also come from a file: `NAME_FILE` holds its path."""
    return [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]
