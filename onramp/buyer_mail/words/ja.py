"""Japanese."""

from typing import Final

from onramp.buyer_mail.words.texts import Texts

TEXTS: Final = Texts(
    decimal_mark=".",
    greeting="お客様",
    paid_subject="{merchant}：お支払いを確認しました",
    paid="{amount} のお支払いが完了しました。MUSD をウォレット {wallet} に送っています。通常は1分以内に届きます。お手続きは必要ありません。",
    delivered_subject="{musd} がウォレットに届きました",
    delivered="{musd} がウォレット {wallet} に届きました。",
    receipt_attached="領収書を添付しています。",
    attention_subject="{merchant}：ご購入の状況を確認しています",
    attention="お支払いは完了していますが、通常より時間がかかっています。担当者に通知済みです。もう一度支払わないでください。お問い合わせの際は {id} をお知らせください。",
    follow="ご購入の状況に戻る",
    transaction="取引を見る",
    proof="受け渡しの証明",
    purchase="購入番号 {id}",
    support="この購入についてのお問い合わせ：{support}",
    because="このメールは、{merchant} でのご購入の際にこのアドレスが入力されたためお送りしています。",
)
