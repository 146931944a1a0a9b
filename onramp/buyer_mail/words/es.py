"""Spanish."""

from typing import Final

from onramp.buyer_mail.words.texts import Texts

TEXTS: Final = Texts(
    decimal_mark=",",
    greeting="Hola:",
    paid_subject="{merchant}: hemos recibido su pago",
    paid="Ha pagado {amount}. Estamos enviando sus MUSD a su wallet {wallet}, normalmente en menos de un minuto. No tiene que hacer nada.",
    delivered_subject="Han llegado {musd} a su wallet",
    delivered="Han llegado {musd} a su wallet {wallet}.",
    receipt_attached="Adjuntamos el recibo.",
    attention_subject="{merchant}: estamos revisando su compra",
    attention="Ya ha pagado, y esto está tardando más de lo debido. Hemos recibido un aviso; por favor, no vuelva a pagar. Indique {id} si nos escribe.",
    follow="Volver a su compra",
    transaction="Ver la transacción",
    proof="Prueba de la entrega",
    purchase="Compra {id}",
    support="Preguntas sobre esta compra: {support}",
    because="Recibe este mensaje porque se indicó esta dirección en una compra en {merchant}.",
)
