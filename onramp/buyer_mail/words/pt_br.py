"""Brazilian Portuguese."""

from typing import Final

from onramp.buyer_mail.words.texts import Texts

TEXTS: Final = Texts(
    decimal_mark=",",
    greeting="Olá,",
    paid_subject="{merchant}: seu pagamento chegou",
    paid="Você pagou {amount}. Seus MUSD estão sendo enviados para a sua carteira {wallet}, em geral em até um minuto. Você não precisa fazer nada.",
    delivered_subject="{musd} chegaram à sua carteira",
    delivered="{musd} chegaram à sua carteira {wallet}.",
    receipt_attached="O recibo está anexado.",
    attention_subject="{merchant}: estamos verificando a sua compra",
    attention="Você pagou, e isto está demorando mais do que deveria. Fomos avisados; por favor, não pague de novo. Informe {id} se escrever para nós.",
    follow="Voltar à sua compra",
    transaction="Ver a transação",
    proof="Comprovante da entrega",
    purchase="Compra {id}",
    support="Dúvidas sobre esta compra: {support}",
    because="Você recebe esta mensagem porque este endereço foi informado em uma compra em {merchant}.",
)
