"""English, the source of all translations."""

from typing import Final

from onramp.buyer_mail.words.texts import Texts

TEXTS: Final = Texts(
    decimal_mark=".",
    greeting="Hello,",
    paid_subject="{merchant}: your payment has arrived",
    paid="You have paid {amount}. Your MUSD is being sent to your wallet {wallet}, usually within a minute. There is nothing to do.",
    delivered_subject="{musd} arrived in your wallet",
    delivered="{musd} arrived in your wallet {wallet}.",
    receipt_attached="The receipt is attached.",
    attention_subject="{merchant}: we are looking into your purchase",
    attention="You have paid, and this takes longer than it should. We have been alerted; please do not pay again. Quote {id} if you write to us.",
    follow="Return to your purchase",
    transaction="See the transaction",
    proof="Proof of delivery",
    purchase="Purchase {id}",
    support="Questions about this purchase: {support}",
    because="You receive this message because this address was given for a purchase at {merchant}.",
)
