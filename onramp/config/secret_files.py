"""Secrets out of files, as containers mount them: NAME_FILE names the file that holds what NAME would."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from onramp.config import cleaning

SUFFIX: Final = "_FILE"
LARGEST: Final = 64 * 1024
"""Bytes; a device or a log file named by mistake is not read to its end."""


def read(names: Iterable[str], variables: Mapping[str, str | None]) -> tuple[dict[str, str], list[str]]:
    """(value by name, problems): what the files of `variables` hold, line ends at the end taken off. No problem shows a value or a path."""
    values: dict[str, str] = {}
    problems: list[str] = []
    for name in names:
        path = variables.get(name + SUFFIX)
        if not path or not cleaning.cleaned(path):
            continue
        if variables.get(name):
            problems.append(f"{name} and {name}{SUFFIX} are both set; keep one of them")
            continue
        try:
            text = _text(Path(cleaning.cleaned(path)))
            text = text if name in cleaning.VERBATIM else cleaning.cleaned(text)
            if not text:
                raise ValueError("the file is empty")
            values[name] = text
        except ValueError as error:
            problems.append(f"{name}{SUFFIX}: {error}")
    return values, problems


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        text = data.decode().rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"the file cannot be read ({error.strerror or type(error).__name__})") from error
    except UnicodeDecodeError as error:
        raise ValueError("the file is not UTF-8 text") from error
    if len(data) > LARGEST:
        raise ValueError("the file is too large to be a secret")
    if not text.strip():
        raise ValueError("the file is empty")
    return text
