"""What a language has to say. `{name}` is replaced."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language."""

    decimal_mark: str
    greeting: str
    paid_subject: str
    """`{merchant}`"""
    paid: str
    """`{amount}`, `{wallet}`"""
    delivered_subject: str
    """`{musd}`"""
    delivered: str
    """`{musd}`, `{wallet}`"""
    receipt_attached: str
    attention_subject: str
    """`{merchant}`"""
    attention: str
    """`{id}`"""
    follow: str
    transaction: str
    proof: str
    purchase: str
    """`{id}`"""
    support: str
    """`{support}`"""
    because: str
    """`{merchant}`"""
