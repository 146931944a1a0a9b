"""Simplified Chinese."""

from typing import Final

from onramp.buyer_mail.words.texts import Texts

TEXTS: Final = Texts(
    decimal_mark=".",
    greeting="您好！",
    paid_subject="{merchant}：您的付款已到账",
    paid="您已支付 {amount}。MUSD 正在发送到您的钱包 {wallet}，通常在一分钟内到达。您无需进行任何操作。",
    delivered_subject="{musd} 已到达您的钱包",
    delivered="{musd} 已到达您的钱包 {wallet}。",
    receipt_attached="收据见附件。",
    attention_subject="{merchant}：我们正在核查您的购买",
    attention="您已付款，但处理时间超出预期。我们已收到通知，请勿重复付款。联系我们时请提供 {id}。",
    follow="返回您的购买",
    transaction="查看交易",
    proof="交付证明",
    purchase="购买编号 {id}",
    support="关于此次购买的问题：{support}",
    because="您收到此邮件，是因为在 {merchant} 购买时填写了此地址。",
)
