"""Names of persons: which are allowed, and which have to be treated as the same person.

Where two persons must agree, one must not be able to pass as two by writing a name differently. New names are restricted (`name_problem`) and
compared with existing ones (`find_lookalike`). Stored names are compared by their appearance (`same_person`), so that a name stored before
these rules is not taken for another person.

The tables are a small part of Unicode's confusables (https://www.unicode.org/reports/tr39/): the allowed scripts, and their letters that look
like letters of another script.
"""

import unicodedata
from collections.abc import Iterable
from typing import Final

_INVISIBLE: Final = (
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F),
    (0x202A, 0x202E), (0x2060, 0x206F), (0x2800, 0x2800), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
"""Invisible characters: the ranges of Default_Ignorable_Code_Point (DerivedCoreProperties.txt), and the blank braille pattern."""

_EAST_ASIAN: Final = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL"})
_SCRIPTS: Final = _EAST_ASIAN | frozenset(
    {"LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "GEORGIAN", "HEBREW", "ARABIC", "DEVANAGARI", "BENGALI", "TAMIL", "TELUGU",
     "THAI"}
)  # fmt: skip
_SAME_SCRIPT: Final = {"IDEOGRAPHIC": "CJK", "KATAKANA-HIRAGANA": "KATAKANA"}
_MARKED: Final = frozenset({"LATIN", "GREEK", "CYRILLIC"})
"""Scripts whose accented letters are single characters; a separate mark after one of their letters is decoration."""
_PUNCTUATION: Final = frozenset(" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\N{RIGHT SINGLE QUOTATION MARK}")

_LATIN: Final = dict(
    zip("øđðłıþŋħŧəæœßƒ", ("o", "d", "d", "l", "i", "p", "n", "h", "t", "e", "ae", "oe", "ss", "f"), strict=True)
)
"""Letters of Latin alphabets that are not an ASCII letter with an accent, and the letters they are compared as."""


def _pairs(text: str) -> dict[str, str]:
    """Return the pairs of `text`: `xy` means that the letter x looks like y."""
    return {pair[0]: pair[1:] for pair in text.split()}


_LOOKS: Final[dict[str, str]] = {
    **_LATIN,
    **_pairs("ɑa ɡg ɩi ʋu ʏy ʀr ɴn ʜh ʙb ʟl ɪi ɢg ᴀa ᴄc ᴅd ᴇe ᴊj ᴋk ᴍm ᴏo ᴘp ᴛt ᴜu ᴠv ᴡw ᴢz ꜱs |l"),
    # Cyrillic
    **_pairs("аa вb гr еe ѕs зз иu іi јj кk мm нh оo пn рp сc тt уy үy хx һh ьb ӏl ԁd ԛq ԝw шw ѡw ѵv"),
    **_pairs("АA ВB ЕE ЅS ІI ЈJ КK МM НH ОO РP СC ТT УY ҮY ХX ҺH ЬB ӀI ԀD ԚQ ԜW ѠW ѴV"),
    # Greek
    **_pairs("αa βb γy εe ηn ιi κk μu νv οo ρp σo ςc τt υu χx ωw ϲc ϳj"),
    **_pairs("ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX ϹC ͿJ"),
    # Armenian
    **_pairs("աw գq զq լl հh յj ոn ռn սu ցg քp օo ՍU ՏS Օo Լl Հz"),
    # Hebrew and Arabic
    **_pairs("סo וl ןl ہo هo اl"),
}
_ALIKE: Final = str.maketrans({"0": "o", "1": "l", "i": "l"})


def comparable(name: str) -> str:
    """Return `name` in its stored form: Unicode NFKC, lower case, single spaces, no invisible characters."""
    visible = "".join(letter for letter in name if not _is_invisible(letter))
    return " ".join(unicodedata.normalize("NFKC", visible).casefold().split())


def same_person(name: str, other: str) -> bool:
    """Return whether two names have to be treated as one person: they are equal, or look the same."""
    return not _skeletons(name).isdisjoint(_skeletons(other))


def find_lookalike(name: str, others: Iterable[str]) -> str | None:
    """Return the first of `others` that looks like `name` without being the same name; None if `name` is one of them, or unlike all.

    A name with other capitals or spaces is the same name.
    """
    existing = list(others)
    if comparable(name) in {comparable(other) for other in existing}:
        return None
    return next((other for other in existing if same_person(name, other)), None)


def name_problem(name: str, *, reserved: Iterable[str], id_prefixes: tuple[str, ...]) -> str | None:
    """Return why a new person may not have this name, as text that follows "The name ..."; None if the name is allowed.

    `reserved` are names that the service uses for itself; `id_prefixes` are prefixes of the ids that records show in place of a person.
    """
    composed = unicodedata.normalize("NFC", name)
    invisible = next((letter for letter in composed if _is_invisible(letter)), None)
    if invisible is not None:
        return f"must not contain {_described(invisible)}, which is invisible"
    if unicodedata.normalize("NFKC", composed) != composed:
        return "must be written with ordinary letters, not with full-width, mathematical or other stylised ones"
    scripts = set()
    for letter in composed:
        script = _script_of(letter)
        if script is None:
            return f"must not contain {_described(letter)}: letters, digits and ASCII punctuation are allowed"
        scripts.add(script)
    scripts.discard("")
    if len(scripts) > 1 and not scripts <= _EAST_ASIAN:
        return f"must not mix letters of several scripts ({', '.join(sorted(script.title() for script in scripts))})"
    if not composed[:1].isalnum() or not (composed[-1:].isalnum() or composed[-1:] == ")" or _is_mark(composed[-1:])):
        return "must begin and end with a letter or a digit"
    if comparable(composed).startswith(id_prefixes) or any(same_person(composed, other) for other in reserved):
        return "must not be a name that the service uses for itself"
    return None


def _is_invisible(letter: str) -> bool:
    return any(first <= ord(letter) <= last for first, last in _INVISIBLE)


def _is_mark(letter: str) -> bool:
    return unicodedata.category(letter) in {"Mn", "Mc"}


def _described(letter: str) -> str:
    return f"U+{ord(letter):04X} ({unicodedata.name(letter, 'without a name').lower()})"


def _script_of(letter: str) -> str | None:
    """Return the script of a letter; empty for digits and punctuation, which all scripts share; None for characters that are not allowed."""
    if letter.isascii():
        return "LATIN" if letter.isalpha() else ""
    if letter in _PUNCTUATION:
        return ""
    word = unicodedata.name(letter, "").partition(" ")[0]
    script = _SAME_SCRIPT.get(word, word)
    if script not in _SCRIPTS or not (letter.isalpha() or _is_mark(letter)):
        return None
    if script == "LATIN":
        base = unicodedata.normalize("NFD", letter)[0]
        if not base.isascii() and base.lower() not in _LATIN and base.casefold() != "ss":
            return None
    return script


def _skeletons(name: str) -> frozenset[str]:
    """Return what a name looks like, as written and in lower case: some letters look like others in one case only."""
    return frozenset({_skeleton(name), _skeleton(comparable(name))})


def _skeleton(name: str) -> str:
    bare: list[str] = []
    base = ""
    for letter in unicodedata.normalize("NFKD", name):
        if _is_mark(letter):
            # In other scripts a mark is a vowel, without which different names would become equal.
            if base in _MARKED or not unicodedata.name(letter, "").startswith(tuple(_SCRIPTS)):
                continue
        elif not letter.isalnum() and letter != "|":
            continue
        else:
            base = unicodedata.name(letter, "").partition(" ")[0]
        if not _is_invisible(letter):
            bare.append(_LOOKS.get(letter, letter))
    folded = "".join(_LOOKS.get(letter, letter) for letter in "".join(bare).casefold()).translate(_ALIKE)
    return folded.replace("rn", "m").replace("vv", "w") or comparable(name)
