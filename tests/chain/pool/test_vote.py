"""The count of votes, for any number of providers and of wrong ones."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from chain.pool.vote import Vote

voices = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=1), st.sampled_from([b"x", b"y", b"z"]))


@given(voices=voices, needed=st.integers(1, 4))
def test_the_winner_has_enough_voices_and_more_than_all_others(voices: dict[str, bytes], needed: int) -> None:
    winner = Vote(needed, dict(voices)).winner()
    count = Counter(voices.values())
    fit = [one for one, n in count.items() if n >= needed and n > len(voices) - n]
    assert winner == (fit[0] if fit else None)


@given(voices=voices, late=voices, needed=st.integers(1, 4))
def test_an_early_decision_is_never_overturned(voices: dict[str, bytes], late: dict[str, bytes], needed: int) -> None:
    vote = Vote(needed, dict(voices))
    outstanding = [one for one in late if one not in voices]
    early = vote.winner(len(outstanding))
    for provider in outstanding:
        vote.cast(provider, late[provider])
    assert early is None or vote.winner() == early


def test_a_second_answer_of_the_same_provider_does_not_count() -> None:
    vote = Vote(2)
    vote.cast("a", b"x")
    vote.cast("a", b"x")
    assert vote.winner() is None
