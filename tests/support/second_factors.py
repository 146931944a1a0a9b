"""A second factor of an API key, as an authenticator app holds it."""

import time
from dataclasses import dataclass
from typing import Any

import pyotp

from tests.support.api_keys import call

ME = "/api/v1/keys/me"


@dataclass(slots=True)
class Codes:
    """The codes of one key; each works once."""

    totp: pyotp.TOTP
    step: int = 0

    @classmethod
    async def enrol(cls, service: Any, secret: str) -> "Codes":
        """Enrol a second factor for this key, with the code before the current one."""
        status, begun = await call(service, "POST", f"{ME}/otp", secret)
        assert status == 201, begun
        codes = cls(pyotp.TOTP(begun["secret"]), int(time.time()) // 30 - 2)
        status, answer = await call(service, "POST", f"{ME}/otp/confirm", secret, json={"code": codes.next()})
        assert status == 200, answer
        return codes

    def next(self) -> str:
        """Return the next code that was not used; at most three can be asked for at once."""
        self.step += 1
        return str(self.totp.at(self.step * 30))

    def wrong(self) -> str:
        """Return a code that is not valid now."""
        valid = {self.totp.at(int(time.time()) + 30 * steps) for steps in range(-2, 3)}
        return next(code for code in (f"{number:06}" for number in range(10)) if code not in valid)
