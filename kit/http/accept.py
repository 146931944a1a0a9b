"""Which of the offered forms a client wants most (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence


def preferred(accept: str, offered: Sequence[str]) -> str | None:
    """The media type of `offered` with the highest weight, the first of equals; None where none is acceptable.

    A header that is absent or says nothing accepts whatever comes first.
    """
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    if not ranges:
        return offered[0]
    weights = {media: _weight(media, ranges) for media in offered}
    best = max(offered, key=lambda media: weights[media])
    return best if weights[best] > 0 else None


def _range(part: str) -> tuple[str, float]:
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return media, float(value)
            except ValueError:
                return media, 0.0
    return media, 1.0


def _weight(media: str, ranges: list[tuple[str, float]]) -> float:
    """What the most exact range says of `media`: itself, then `type/*`, then `*/*`."""
    for wanted in (media, media.partition("/")[0] + "/*", "*/*"):
        said = [weight for name, weight in ranges if name == wanted]
        if said:
            return max(said)
    return 0.0
