"""Call the signer, and wait longer between calls while it fails."""

import asyncio
from collections.abc import Sequence

from treasury.sender.context import SenderContext
from treasury.signers.intent import Intent
from treasury.signers.protocol import Signed, SignerError, SignerUnavailable

_MAX_WAIT = 60.0


class SignerCalls:
    """The sender's access to its one signer: a failure postpones every further signature."""

    def __init__(self, context: SenderContext) -> None:
        self._context = context
        self._failures = 0
        """How many calls of `sign_all` in a row had a failure."""

    @property
    def is_postponed(self) -> bool:
        """Whether the signer failed a moment ago and is not called yet."""
        return self._context.throttle.is_waiting("signer")

    async def sign(self, intent: Intent) -> Signed | None:
        """Return the signed bytes; None if the signer failed, and then the next cycle releases the nonce."""
        return (await self.sign_all([intent]))[0]

    async def sign_all(self, intents: Sequence[Intent]) -> list[Signed | None]:
        """Sign several intents concurrently; the result of each one that failed is None."""
        context = self._context
        results = await asyncio.gather(*(self._sign_one(intent) for intent in intents))
        failed = False
        for intent, result in zip(intents, results, strict=True):
            if isinstance(result, SignerError):
                context.alarms.raise_alarm(f"signer_{_outcome(result)}", intent.wallet, detail=str(result))
                failed = True
        if failed:
            self._failures += 1
            context.throttle.postpone("signer", min(_MAX_WAIT, 2.0**self._failures))
        else:
            self._failures = 0
            for outcome in ("unavailable", "refused"):
                context.alarms.clear(f"signer_{outcome}", intents[0].wallet)
        return [None if isinstance(result, SignerError) else result for result in results]

    async def _sign_one(self, intent: Intent) -> Signed | SignerError:
        context = self._context
        started = context.clock.monotonic()
        try:
            signed = await context.signer.sign(intent)
        except SignerError as error:
            context.metrics.signed(context.clock.monotonic() - started, _outcome(error))
            return error
        context.metrics.signed(context.clock.monotonic() - started, "ok")
        return signed


def _outcome(error: SignerError) -> str:
    return "unavailable" if isinstance(error, SignerUnavailable) else "refused"
