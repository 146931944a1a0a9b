"""The parts that the console's routes use; `onramp.bootstrap` fills them in."""

from dataclasses import dataclass

from aiohttp import web

from onramp.config.settings import Settings
from onramp.console.files import ConsoleFiles


@dataclass(frozen=True, slots=True)
class ConsoleServices:
    """The parts that the console's routes use."""

    settings: Settings
    files: ConsoleFiles | None
    """The console's files; None if its libraries are not there."""


CONSOLE = web.AppKey("console", ConsoleServices)
