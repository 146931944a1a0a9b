"""French."""

from typing import Final

from onramp.buyer_mail.words.texts import Texts

TEXTS: Final = Texts(
    decimal_mark=",",
    greeting="Bonjour,",
    paid_subject="{merchant} : votre paiement est arrivé",
    paid="Vous avez payé {amount}. Vos MUSD sont en cours d’envoi vers votre wallet {wallet}, en général en moins d’une minute. Vous n’avez rien à faire.",
    delivered_subject="{musd} sont arrivés sur votre wallet",
    delivered="{musd} sont arrivés sur votre wallet {wallet}.",
    receipt_attached="Le reçu est joint.",
    attention_subject="{merchant} : nous examinons votre achat",
    attention="Vous avez payé, et cela prend plus de temps que prévu. Nous avons été alertés ; merci de ne pas payer une seconde fois. Indiquez {id} si vous nous écrivez.",
    follow="Revenir à votre achat",
    transaction="Voir la transaction",
    proof="Preuve de la livraison",
    purchase="Achat {id}",
    support="Questions sur cet achat : {support}",
    because="Vous recevez ce message parce que cette adresse a été indiquée lors d’un achat chez {merchant}.",
)
