"""Read secrets from files, as containers mount them: NAME_FILE holds the path of the file with the value of NAME."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from onramp.config import cleaning

SUFFIX: Final = "_FILE"
MAX_BYTES: Final = 64 * 1024
"""The most bytes that are read of a file; a device or a log file that is named by mistake is not read to its end."""


def read(names: Iterable[str], variables: Mapping[str, str | None]) -> tuple[dict[str, str], list[str]]:
    """Return the values of the files, by name, without line ends at the end, and the problems. A problem shows no value and no path."""
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
            data = file.read(MAX_BYTES + 1)
        text = data.decode().rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"the file cannot be read ({error.strerror or type(error).__name__})") from error
    except UnicodeDecodeError as error:
        raise ValueError("the file is not UTF-8 text") from error
    if len(data) > MAX_BYTES:
        raise ValueError("the file is too large to be a secret")
    if not text.strip():
        raise ValueError("the file is empty")
    return text
