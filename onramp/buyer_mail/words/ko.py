"""Korean."""

from typing import Final

from onramp.buyer_mail.words.texts import Texts

TEXTS: Final = Texts(
    decimal_mark=".",
    greeting="안녕하세요.",
    paid_subject="{merchant}: 결제가 확인되었습니다",
    paid="{amount} 결제가 완료되었습니다. MUSD를 지갑 {wallet}(으)로 보내고 있으며, 보통 1분 안에 도착합니다. 따로 하실 일은 없습니다.",
    delivered_subject="{musd}가 지갑에 도착했습니다",
    delivered="{musd}가 지갑 {wallet}에 도착했습니다.",
    receipt_attached="영수증을 첨부했습니다.",
    attention_subject="{merchant}: 구매를 확인하고 있습니다",
    attention="결제는 완료되었지만 예상보다 오래 걸리고 있습니다. 담당자에게 알렸으니 다시 결제하지 마세요. 문의하실 때 {id}를 알려 주세요.",
    follow="구매로 돌아가기",
    transaction="거래 보기",
    proof="전달 증명",
    purchase="구매 {id}",
    support="이 구매에 대한 문의: {support}",
    because="이 메일은 {merchant}에서 구매할 때 이 주소가 입력되어 보내 드립니다.",
)
