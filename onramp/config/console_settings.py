"""The settings of the operator console."""

from typing import Literal

from pydantic import BaseModel, Field


class ConsoleSettings(BaseModel):
    """The variables of the operator console. A part of `Settings`."""

    CONSOLE: Literal["on", "off"] = Field(
        default="off",
        description="`on` serves the [operator console](console.md) at `/console`; `off` serves nothing of it.",
    )
    CONSOLE_PORT: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="A port of its own for the console, which serves the API as well; the API's port then serves no console. 0 serves the console on `PORT`.",
    )

    @property
    def console_is_served(self) -> bool:
        """Whether the console is served."""
        return self.CONSOLE == "on"
