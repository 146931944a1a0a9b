"""Asking the signer, and slowing down where it fails."""

import asyncio
from collections.abc import Sequence

from treasury.sender.context import SenderContext
from treasury.signers.intent import Intent
from treasury.signers.protocol import Signed, SignerError, SignerUnavailable

_MINUTE = 60.0


class Signing:
    """One signer; it fails for all who ask alike."""

    def __init__(self, desk: SenderContext) -> None:
        """Only failures in a row are remembered."""
        self._desk = desk
        self._failures = 0

    async def sign(self, intent: Intent) -> Signed | None:
        """Bytes, or None; then the next cycle gives the nonce back, as nothing can be on its way."""
        return (await self.sign_all([intent]))[0]

    async def sign_all(self, intents: Sequence[Intent]) -> list[Signed | None]:
        """The same for several, asked for side by side."""
        desk = self._desk
        answers = await asyncio.gather(*(self._ask(intent) for intent in intents))
        failed = False
        for intent, answer in zip(intents, answers, strict=True):
            if isinstance(answer, SignerError):
                outcome = "unavailable" if isinstance(answer, SignerUnavailable) else "refused"
                desk.alarms.ring(f"signer_{outcome}", intent.wallet, detail=str(answer))
                failed = True
        if failed:
            self._failures += 1
            desk.pace.wait("signer", min(_MINUTE, 2.0**self._failures))
        else:
            self._failures = 0
            for outcome in ("unavailable", "refused"):
                desk.alarms.clear(f"signer_{outcome}", intents[0].wallet)
        return [None if isinstance(answer, SignerError) else answer for answer in answers]

    async def _ask(self, intent: Intent) -> Signed | SignerError:
        desk = self._desk
        started = desk.clock.monotonic()
        try:
            signed = await desk.signer.sign(intent)
        except SignerError as error:
            outcome = "unavailable" if isinstance(error, SignerUnavailable) else "refused"
            desk.metrics.signed(desk.clock.monotonic() - started, outcome)
            return error
        desk.metrics.signed(desk.clock.monotonic() - started, "ok")
        return signed
