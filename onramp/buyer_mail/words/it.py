"""Italian."""

from typing import Final

from onramp.buyer_mail.words.texts import Texts

TEXTS: Final = Texts(
    decimal_mark=",",
    greeting="Buongiorno,",
    paid_subject="{merchant}: il suo pagamento è arrivato",
    paid="Ha pagato {amount}. I suoi MUSD vengono inviati al suo wallet {wallet}, di solito entro un minuto. Non deve fare nulla.",
    delivered_subject="{musd} sono arrivati nel suo wallet",
    delivered="{musd} sono arrivati nel suo wallet {wallet}.",
    receipt_attached="La ricevuta è allegata.",
    attention_subject="{merchant}: stiamo verificando il suo acquisto",
    attention="Ha pagato, e ci vuole più tempo del dovuto. Siamo stati avvisati; per favore, non paghi di nuovo. Se ci scrive, indichi {id}.",
    follow="Torna al suo acquisto",
    transaction="Vedi la transazione",
    proof="Prova della consegna",
    purchase="Acquisto {id}",
    support="Domande su questo acquisto: {support}",
    because="Riceve questo messaggio perché questo indirizzo è stato indicato per un acquisto presso {merchant}.",
)
