"""German."""

from typing import Final

from onramp.buyer_mail.words.texts import Texts

TEXTS: Final = Texts(
    decimal_mark=",",
    greeting="Guten Tag,",
    paid_subject="{merchant}: Ihre Zahlung ist eingegangen",
    paid="Sie haben {amount} bezahlt. Ihre MUSD werden an Ihre Wallet {wallet} gesendet, meist innerhalb einer Minute. Sie müssen nichts tun.",
    delivered_subject="{musd} sind in Ihrer Wallet angekommen",
    delivered="{musd} sind in Ihrer Wallet {wallet} angekommen.",
    receipt_attached="Der Beleg liegt bei.",
    attention_subject="{merchant}: Wir prüfen Ihren Kauf",
    attention="Sie haben bezahlt, und es dauert länger, als es sollte. Wir wurden benachrichtigt; bitte zahlen Sie nicht noch einmal. Nennen Sie {id}, wenn Sie uns schreiben.",
    follow="Zurück zu Ihrem Kauf",
    transaction="Transaktion ansehen",
    proof="Nachweis der Lieferung",
    purchase="Kauf {id}",
    support="Fragen zu diesem Kauf: {support}",
    because="Sie erhalten diese Nachricht, weil diese Adresse bei einem Kauf bei {merchant} angegeben wurde.",
)
