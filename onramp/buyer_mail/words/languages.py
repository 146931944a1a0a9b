"""Choose the language of a mail."""

from typing import Final

from onramp.buyer_mail.words import de, en, es, fr, it, ja, ko, pt_br, zh_hans
from onramp.buyer_mail.words.texts import Texts

LANGUAGES: Final[dict[str, Texts]] = {
    "en": en.TEXTS,
    "de": de.TEXTS,
    "es": es.TEXTS,
    "fr": fr.TEXTS,
    "it": it.TEXTS,
    "pt-BR": pt_br.TEXTS,
    "ja": ja.TEXTS,
    "ko": ko.TEXTS,
    "zh-Hans": zh_hans.TEXTS,
}
"""The texts by the tags of `onramp.sessions.buyer_context.LOCALES`."""


def language_of(locale: str | None) -> str:
    """Return the tag in LANGUAGES for a buyer's BCP 47 tag, by its first subtag; English for None and for any other language."""
    wanted = (locale or "").partition("-")[0].lower()
    return next((tag for tag in LANGUAGES if tag.partition("-")[0] == wanted), "en")
