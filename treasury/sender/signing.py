"""Asking the signer, and slowing down where it fails."""

from treasury.sender.desk import Desk
from treasury.signers.intent import Intent
from treasury.signers.protocol import Signed, SignerError, SignerUnavailable

_MINUTE = 60.0


class Signing:
    """One signer; it fails for all who ask alike."""

    def __init__(self, desk: Desk) -> None:
        """Only failures in a row are remembered."""
        self._desk = desk
        self._failures = 0

    async def sign(self, intent: Intent) -> Signed | None:
        """Bytes, or None; then the next cycle gives the nonce back, as nothing can be on its way."""
        desk = self._desk
        started = desk.clock.monotonic()
        try:
            signed = await desk.signer.sign(intent)
        except SignerError as error:
            outcome = "unavailable" if isinstance(error, SignerUnavailable) else "refused"
            desk.metrics.signed(desk.clock.monotonic() - started, outcome)
            self._failures += 1
            desk.pace.wait("signer", min(_MINUTE, 2.0**self._failures))
            desk.alarms.ring(f"signer_{outcome}", intent.wallet, detail=str(error))
            return None
        self._failures = 0
        for outcome in ("unavailable", "refused"):
            desk.alarms.clear(f"signer_{outcome}", intent.wallet)
        desk.metrics.signed(desk.clock.monotonic() - started, "ok")
        return signed
