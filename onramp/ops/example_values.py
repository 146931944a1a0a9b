"""The examples of the API's fields: one purchase of 100 dollars and the treasury that delivers it, the same in every document.

Keys are names of fields, parameters and headers; `Schema.field` and `collection.id` are preferred to them.
"""

from typing import Any, Final

from onramp import __version__
from treasury.core.assets import MUSD_DECIMALS

_BUYER: Final = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
_HOT: Final = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
_SAFE: Final = "0x976EA74026E726554dB657fA54763abd0C3a0aa9"
_OWNERS: Final = [
    "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720",
    "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f",
    "0xBcd4042DE499D14e55001CcbB24a551F3b954096",
]
_MUSD: Final = "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503"
_TX: Final = "0x7bb5cdd2d4c5f3b8c0c2b1f0a4f6b1a96d9b4c3d2e1f0a9b8c7d6e5f4a3b2c1d"
_BLOCK: Final = "0x1f0e9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a39281706f5e4d3c2b1a0f9e8d7c6"
_SESSION: Final = "ons_4kq7w2m5x3v6t8r9p1n0"
_STRIPE: Final = "cos_1Q2w3E4r5T6y7U8i9O0p"
_MORNING: Final = "2026-11-30T09:00:00.000000Z"
_PAID: Final = "2026-11-30T09:02:10.000000Z"
_DONE: Final = "2026-11-30T09:02:41.000000Z"
_NEXT_DAY: Final = "2026-12-01T09:00:00.000000Z"
_UNPAID: Final = {
    "status": "initialized", "stripeSessionId": _STRIPE, "destinationAmount": None, "destinationCurrency": "usdc",
    "destinationNetwork": "ethereum", "updatedAt": _MORNING,
}  # fmt: skip
_UNDELIVERED: Final = {
    "status": "awaiting", "reason": None, "mode": "payout", "expectedAmount": None, "txHash": None, "confirmations": 0, "overdue": False,
    "explorerUrl": None, "updatedAt": _MORNING,
}  # fmt: skip
_MESSAGE: Final = (
    f"shop.example wants you to sign in with your Ethereum account:\n{_BUYER}\n\nSee your purchases.\n\nURI: https://shop.example\nVersion: 1\n"
    f"Chain ID: 31611\nNonce: 8h2k4m6p8r0t\nIssued At: 2026-11-30T09:00:00.000Z\nExpiration Time: 2026-11-30T09:10:00.000Z"
)
_PURCHASE: Final[dict[str, Any]] = {
    "walletAddress": _BUYER, "sourceAmount": "100.00", "sourceCurrency": "usd", "email": "ada@example.com", "reference": "order-17",
    "returnUrl": "https://shop.example/thanks?order=17", "CreateSession.returnUrl": None, "locale": "en-US", "version": 6, "redirectUrl": None, "createdAt": _MORNING,
    "updatedAt": _DONE, "expiresAt": _NEXT_DAY, "SessionResponse.status": "completed", "Payment.status": "fulfillment_complete",
    "stripeSessionId": _STRIPE, "destinationAmount": "99.50", "destinationCurrency": "usdc", "destinationNetwork": "ethereum",
    "Payment.updatedAt": _PAID, "Delivery.status": "confirmed", "Delivery.reason": None, "expectedAmount": "99.50", "txHash": _TX,
    "confirmations": 2, "explorerUrl": f"https://explorer.test.mezo.org/tx/{_TX}", "CreatedSession.status": "awaiting_payment",
    "CreatedSession.payment": _UNPAID, "CreatedSession.delivery": _UNDELIVERED, "CreatedSession.version": 2,
    "CreatedSession.updatedAt": _MORNING, "CreatedSession.redirectUrl": f"https://crypto.link.com/?session={_STRIPE}",
    "clientSecret": f"{_STRIPE}_secret", "publishableKey": "pk_test_example", "SessionEvent.id": "6", "SessionEvent.data": '{"id": "ons_..."}',
    "Proof.status": "confirmed", "Proof.reason": None, "token": _MUSD, "Proof.from": _HOT, "Proof.to": _BUYER, "Proof.amount": "99.50",
    "logIndex": 4, "blockNumber": 15_937_001, "blockHash": _BLOCK, "agreedBy": ["boar", "imperator"], "chainId": 31611,
    "sessionId": _SESSION, "Receipt.status": "completed", "merchantName": "Shop", "merchantAddress": "1 Main Street, Zurich",
    "supportEmail": "help@shop.example", "payoutFee": "0.00", "musdAmount": "99.50", "paidAt": _PAID, "confirmedAt": _DONE,
    "Fees.network": "0.35", "Fees.transaction": "1.20", "Fees.payout": "0.00", "total": "101.55",
}  # fmt: skip
_CONFIG: Final[dict[str, Any]] = {
    "ChainResponse.id": 31611, "ChainResponse.name": "Mezo testnet", "ChainResponse.explorerUrl": "https://explorer.test.mezo.org",
    "rpcUrls": ["https://rpc.test.mezo.org"], "TokenResponse.address": _MUSD, "TokenResponse.decimals": MUSD_DECIMALS,
    "currencies": ["usd", "eur"], "limits": {"usd": {"min": "1.00", "max": "10000.00"}, "eur": {"min": "1.00", "max": "10000.00"}},
    "LimitResponse.min": "1.00", "LimitResponse.max": "10000.00",
    "scripts": ["https://js.stripe.com/clover/stripe.js", "https://crypto-js.stripe.com/crypto-onramp-outer.js"],
    "locales": ["en", "de", "es"],
}  # fmt: skip
_LOGIN: Final[dict[str, Any]] = {
    "address": _BUYER, "NonceResponse.nonce": "8h2k4m6p8r0t", "message": _MESSAGE, "signature": f"0x{'5a' * 65}",
    "LoginResponse.token": "a.JSON.Web.Token", "Accept.token": "oin_example", "LoginResponse.expiresAt": "2026-11-30T10:00:00.000000Z",
    "NonceResponse.expiresAt": "2026-11-30T09:10:00.000000Z",
}  # fmt: skip
_KEYS: Final[dict[str, Any]] = {
    "KeyResponse.id": "key_2m4n6p8q", "NewKeyResponse.id": "key_2m4n6p8q", "InvitationResponse.id": "inv_7r9s1t3u",
    "NewInvitation.id": "inv_7r9s1t3u", "name": "shop server", "role": "dapp", "person": "dana", "activeFrom": _MORNING, "madeAt": _MORNING,
    "madeBy": "machine", "confirmedBy": None, "lastUsedAt": _DONE, "revokedAt": None, "secret": "ork_example",
    "Enrolment.secret": "JBSWY3DPEHPK3PXP", "uri": "otpauth://totp/Onramp:dana?secret=JBSWY3DPEHPK3PXP&issuer=Onramp", "FirstCode.code": "123456",
    "overlapMinutes": 1440, "validHours": 24, "createdBy": "machine", "keyId": None, "link": "https://pay.example/invitation#oin_example",
    "InvitationResponse.status": "open", "NewInvitation.status": "open",
}  # fmt: skip
_CONSOLE: Final[dict[str, Any]] = {
    "ConsoleSessionResponse.id": "cs_3n5p7q9r", "ConsoleSessionResponse.keyId": "key_2m4n6p8q", "ConsoleSessionResponse.role": "operator",
    "ConsoleSessionResponse.method": "key", "idleExpiresAt": "2026-11-30T09:32:41.000000Z", "ConsoleSessionResponse.expiresAt": "2026-11-30T17:00:00.000000Z",
    "current": True, "passkeys": 2, "KeyLoginRequest.key": "ork_example", "KeyLoginRequest.code": None,
    "OidcPersonResponse.id": "oid_5f2d9c7b1a3e4f60", "issuer": "https://example.okta.com", "OidcPersonResponse.subject": "00u1ab2",
    "OidcPersonResponse.name": "Dana D.", "firstLoginAt": _MORNING, "lastLoginAt": _DONE, "oidc-persons.id": "oid_5f2d9c7b1a3e4f60",
    "OidcLoginOption.name": "Okta", "OidcLoginOption.url": "/console/oidc/login", "LoginOptions.key": True,
}  # fmt: skip
_PASSKEY_OPTIONS: Final = {
    "challenge": "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg",
    "rpId": "pay.example",
    "userVerification": "required",
}
_CREDENTIAL: Final = {
    "id": "bG9jYWwga2V5",
    "rawId": "bG9jYWwga2V5",
    "type": "public-key",
    "response": {"clientDataJSON": "...", "signature": "..."},
}
_PASSKEYS: Final[dict[str, Any]] = {
    "PasskeyResponse.id": "pky_5s7u9w1y", "PasskeyResponse.name": "Laptop", "EnrolPasskey.name": "Laptop", "backedUp": False, "passkeys.id": "pky_5s7u9w1y",
    "registration": "pkr_3q5s7u9w", "permission": None, "PermissionResponse.permission": "opk_example", "PermissionResponse.id": "pkp_1o3q5s7u",
    "PermissionResponse.expiresAt": _NEXT_DAY, "RegistrationResponse.id": "pkr_3q5s7u9w", "RegistrationResponse.expiresAt": "2026-11-30T09:05:00.000000Z",
    "RegistrationResponse.options": {"challenge": "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg", "rp": {"name": "Onramp", "id": "pay.example"}},
    "credential": _CREDENTIAL, "BeginApproval.action": "sweep.approve", "BeginApproval.subject": "swp_3z5a7b9c", "parameters": {},
    "ChallengeResponse.id": "pkc_7u9w1y3a", "plan": {"action": "sweep.approve", "subject": "swp_3z5a7b9c", "amount": "1500000000000000000000"},
    "ChallengeResponse.sentence": f"Move 1,500.00 MUSD from the hot wallet {_HOT} to the cold wallet {_SAFE}",
    "ChallengeResponse.expiresAt": "2026-11-30T09:05:00.000000Z", "options": _PASSKEY_OPTIONS, "X-Passkey": "eyJjaGFsbGVuZ2UiOiJwa2NfN3U5dzF5M2EiLCJjcmVkZW50aWFsIjp7fX0",
}  # fmt: skip
_ALARMS: Final[dict[str, Any]] = {
    "AlarmResponse.id": "alm_8c0d2e4f", "AlarmResponse.name": "delivery.overdue", "severity": "page", "AlarmResponse.subject": _SESSION,
    "process": None, "sentence": "A buyer has paid, and the MUSD has not been confirmed within DELIVERY_OVERDUE_MINUTES.",
    "command": f"onramp sessions show {_SESSION}", "runbook": "docs/runbook.md#a-purchase-is-overdue", "facts": {"session": _SESSION},
    "raisedAt": _DONE, "acknowledgedAt": None, "acknowledgedBy": None, "AlarmResponse.endedAt": None, "endedBy": None, "alarms.id": "alm_8c0d2e4f",
}  # fmt: skip
_HOOKS: Final[dict[str, Any]] = {
    "AlarmData.endedAt": None, "DisabledData.disabledAt": _DONE, "DisabledData.endpointId": "whk_6q8r0s2t", "DisabledData.host": "shop.example",
    "TestData.endpointId": "whk_6q8r0s2t",
    "WebhookResponse.id": "whk_6q8r0s2t", "NewWebhookResponse.id": "whk_6q8r0s2t", "url": "https://shop.example/hooks", "ed25519": False,
    "events": ["session.completed", "session.attention"], "WebhookResponse.status": "enabled", "NewWebhookResponse.status": "enabled",
    "ChangeWebhook.status": "enabled", "disabledReason": None, "disabledAt": None, "publicKey": None, "failingSince": None, "lastSuccessAt": _DONE,
    "overlapSeconds": 86_400, "since": _MORNING, "messages": 3, "WebhookDeliveryResponse.id": "dlv_4u6v8w0x", "webhookId": "whk_6q8r0s2t",
    "messageId": "msg_2y4z6a8b", "WebhookDeliveryResponse.type": "session.completed", "WebhookDeliveryResponse.subject": _SESSION,
    "WebhookDeliveryResponse.status": "delivered", "WebhookAttempt.outcome": "delivered", "WebhookAttempt.status": 204,
    "WebhookAttempt.reason": None, "milliseconds": 84, "response": "", "nextAttemptAt": None, "endedAt": _DONE,
    "WebhookDeliveryResponse.createdAt": _DONE, "NewWebhookResponse.secret": "whsec_ZXhhbXBsZSBzZWNyZXQgb2YgMzIgcmFuZG9tIGJ5dGVz",
    "DeliveriesQuery.status": "failed", "webhooks.id": "whk_6q8r0s2t", "deliveries.id": "dlv_4u6v8w0x", "messages.id": "msg_2y4z6a8b",
    "WebhookMessageResponse.id": "msg_2y4z6a8b", "WebhookMessageResponse.type": "session.completed", "WebhookMessageResponse.subject": _SESSION,
    "WebhookMessageResponse.body": '{"type":"session.completed","timestamp":"2026-11-30T09:03:00.000Z","data":{"id":"ons_2v4x6z8b"}}',
    "MessagesQuery.since": _MORNING,
}  # fmt: skip
_TREASURY: Final[dict[str, Any]] = {
    "amount": "99.50", "asset": "MUSD", "wallet": _HOT, "to": _BUYER, "from": "planned", "HistoryLine.to": "final", "by": "treasury",
    "at": _DONE, "note": "checked by phone", "PayoutResponse.id": "pay_5v7w9x1y", "SweepResponse.id": "swp_3z5a7b9c",
    "TransactionResponse.id": "txn_1d3e5f7g", "SettlementResponse.id": "stl_9h1i3j5k", "SettledUsdc.id": "stl_9h1i3j5k",
    "VersionResponse.id": "pol_2l4m6n8o", "AuditEntry.id": 812, "PostingResponse.id": 4711, "status": "final", "transactionId": "txn_1d3e5f7g",
    "PageQuery.status": "final", "SettlementQuery.status": "settled", "SettlementResponse.status": "settled", "SettledUsdc.status": "settled",
    "proposedBy": "key_8p0q2r4s", "approvedBy": "key_6t8u0v2w", "retryBy": None, "reason": "excess over ceiling", "PayoutResponse.reason": None,
    "SweepResponse.to": _SAFE, "SweepResponse.amount": "1500.00", "kind": "sweep", "PostingResponse.kind": "paid", "PostingResponse.from": "in_flight",
    "PostingResponse.to": "paid_out", "subject": "pay_5v7w9x1y", "ResolutionRequest.subject": "MUSD", "ResolutionResponse.subject": "MUSD",
    "ResolutionResponse.status": "asked", "policyVersion": "3", "AuditEntry.policyVersion": 3, "SweepResponse.expiresAt": _NEXT_DAY,
    "ProposeSweepRequest.amount": "excess", "PlanResponse.amount": "1500.00", "PlanResponse.to": _SAFE, "refusal": None, "detail": None,
    "PartResponse.detail": "head 15937001", "PartResponse.name": "chain", "PartResponse.ok": True, "Readiness.status": "ready", "Alive.status": "ok",
    "PlanResponse.reason": "excess over ceiling", "approvalNeeded": False, "onChain": "16500.00", "held": "99.50", "available": "16400.50",
    "floor": "5000.00", "target": "15000.00", "ceiling": "20000.00", "inFlight": "0.00", "cold": "0.00", "paidOut": "99.50", "gas": "0.00",
    "externalIn": "-16599.50", "suspense": "0.00", "receivable": "99.50", "sold": "-99.50", "settled": "0.00", "change": "0.00",
    "nonce": 7, "hash": _TX, "signedAt": _PAID, "broadcasts": 1, "signerRequestId": None, "maxFeePerGas": "1000000000", "stall": None,
    "operationId": "pay_5v7w9x1y", "noticedAt": _DONE, "answeredBy": None, "askedBy": "key_8p0q2r4s", "evidence": "99.50 USDC in block 21300000, alpha, beta",
    "verified": True, "contradiction": None, "reversalBy": None, "reversedBy": None, "agrees": True, "action": "treasury.payout_approve",
    "actor": "key_6t8u0v2w", "before": {"status": "awaiting_approval"}, "after": {"status": "approved"}, "requestId": "req_7k2m4n6p",
    "number": 812, "AuditEntry.hash": "5f" * 32, "symbol": "MUSD", "decimals": MUSD_DECIMALS, "min": "100", "approvalAbove": "5000",
    "maxPerTransaction": "20000", "maxPerDay": "100000", "maxBatch": 50, "maxAllowance": "100000",
    "payoutId": "pay_5v7w9x1y", "VersionResponse.version": 3, "VersionResponse.status": "active", "loosens": [],
    "appliesAt": _MORNING, "approvalExpiresHours": 24, "everyMinutes": 15, "maxFeeGwei": "50", "ColdResponse.address": _SAFE, "owners": _OWNERS,
    "threshold": 2, "guard": None, "RefillQuery.amount": "1500", "holds": "25000.00", "file": {"version": "1.0", "chainId": "31611"},
    "sheet": {"to": _MUSD, "amount": "1500 MUSD"}, "scope": "sales", "limit": 20, "cursor": None, "nextCursor": None, "unexplained": [],
    "ResolutionResponse.amount": "0.50", "SettleUsdcRequest.txHash": _TX, "SettleUsdcRequest.amount": None,
}  # fmt: skip
_HELD: Final = "pay_5v7w9x1y"
_VIEWS: Final[dict[str, Any]] = {
    "OverviewResponse.status": "degraded", "ProblemResponse.severity": "critical", "ProblemResponse.name": "treasury.payout_insufficient",
    "ProblemResponse.subject": _HELD, "ProblemResponse.sentence": "A payout is held: the hot wallet, or what PayOnce may move of it, is too small.",
    "ProblemResponse.since": _DONE, "alarmId": "alm_8c0d2e4f", "NextStep.sentence": "Run the command.", "NextStep.command": "onramp treasury balances",
    "NextStep.screen": f"queue?id={_HELD}", "HealthPartResponse.name": "chain", "HealthPartResponse.ok": True, "vital": True,
    "HealthPartResponse.detail": "3 providers, agreed head 15937001", "HealthPartResponse.since": _MORNING, "LeaderResponse.owner": "pay-1-4711-2m4n6p8q",
    "leads": True, "leaseUntil": _NEXT_DAY, "HeadResponse.blockNumber": 15_937_001, "providers": 3, "agreement": 2, "agreedHead": 15_937_001, "halted": None,
    "SearchRequest.query": _SESSION, "SearchHit.id": _SESSION, "SearchHit.title": f"100.00 USD for {_BUYER}", "SearchHit.status": "completed", "SearchHit.at": _MORNING,
    "attention": None, "MomentResponse.event": "paid", "MomentResponse.detail": "99.50 USDC", "MomentResponse.at": _PAID, "MailResponse.state": "delivered",
    "MailResponse.status": "sent", "MailResponse.reason": None, "PurchasesQuery.status": "attention", "PurchasesQuery.wallet": _BUYER,
    "PurchasesQuery.from": _MORNING, "PurchasesQuery.to": _NEXT_DAY, "EventResponse.id": "evt_1Q2w3E4r5T6y7U8i", "EventResponse.type": "crypto.onramp_session.updated",
    "EventResponse.status": "handled", "EventResponse.reason": None, "EventsQuery.status": "parked", "EventsQuery.type": "crypto.onramp_session.updated",
    "sessionStatus": "fulfillment_complete", "tries": 1, "replayable": True, "receivedAt": _PAID, "handledAt": _PAID, "EventResponse.createdAt": _PAID,
    "PurchaseResponse.events": [], "events.id": "evt_1Q2w3E4r5T6y7U8i", "NoticeResponse.id": "ntc_6c8d0e2f", "NoticeResponse.kind": "raised",
    "NoticeResponse.name": "delivery.overdue",
    "NoticeResponse.subject": _SESSION, "target": "slack", "NoticeResponse.status": "sent", "NoticesQuery.status": "given_up", "NoticeResponse.attempts": 1,
    "NoticeResponse.error": None, "dueAt": _DONE, "sentAt": _DONE, "NoticeResponse.createdAt": _DONE, "WaitingResponse.action": "sweep.approve",
    "WaitingResponse.subject": "swp_3z5a7b9c", "WaitingResponse.sentence": f"Move 1500.00 MUSD from {_HOT} to the Safe {_SAFE}: excess over ceiling.",
    "AuditQuery.from": _MORNING, "AuditQuery.to": _NEXT_DAY, "AuditQuery.action": "treasury.sweep_approve", "AuditVerificationResponse.ok": True, "rows": 812,
    "unlinked": 0, "firstBroken": None, "verifiedAt": _DONE, "AuditHead.number": 812, "AuditHead.hash": "5f" * 32, "BrokenLink.number": 700, "entryId": 703,
    "BrokenLink.reason": "the entry was changed after it was linked", "PageQuery.reason": "insufficient", "PageQuery.wallet": _BUYER, "PageQuery.from": _MORNING,
    "PageQuery.to": _NEXT_DAY, "DifferenceOfPolicies.field": "payouts.max_per_day", "DifferenceOfPolicies.from": "100000.00 MUSD",
    "DifferenceOfPolicies.to": "200000.00 MUSD", "DifferenceOfPolicies.effect": "loosens", "pending": None, "PolicyResponse.differences": [],
    "DifferenceOfPolicies.sentence": "What payouts of a day may add up to without a person: 100000.00 MUSD becomes 200000.00 MUSD. This loosens the policy.",
    "BalanceHistoryQuery.asset": "MUSD", "BalanceHistoryQuery.from": _MORNING, "BalanceHistoryQuery.to": _NEXT_DAY, "runwayHours": 42,
    "ChangeEvent.id": "4711", "ChangeEvent.data": '{"kind":"payout","id":"pay_5v7w9x1y"}', "proposedAt": _DONE, "WaitingResponse.expiresAt": _NEXT_DAY, "mayApprove": True,
    "why": None,
    "NodeResponse.name": "boar-1", "NodeResponse.operator": "boar",
    "NodeResponse.kind": "Spectrum", "NodeResponse.health": "alive", "NodeResponse.head": 15_937_001, "lag": 0, "p50Ms": 84, "p95Ms": 210, "requests": 4711,
    "NodeResponse.errors": {"timeout": 2},
    "lastError": None, "creditsUsed": 120_000, "creditsLeft": 880_000, "holdsFrom": None, "prunedTo": None, "method": "eth_getTransactionReceipt",
    "params": f'["{_TX}"]', "answer": '{"status":"0x0"}', "agreedAnswer": '{"status":"0x1"}', "DisagreementResponse.since": _DONE,
}  # fmt: skip
_OTHER: Final[dict[str, Any]] = {
    "type": "urn:onramp:problem:validation_failed", "title": "Unprocessable Entity", "Problem.status": 422, "code": "validation_failed",
    "Problem.detail": "The request names a field that is not valid.", "errors": [{"pointer": "/returnUrl", "detail": "its origin is not one of the service's ALLOWED_ORIGINS"}],
    "StripeEventBody.type": "crypto.onramp_session.updated", "received": True, "StartPage.name": "Onramp", "StartPage.version": __version__,
    "description": "Sells MUSD for a card payment, and proves on chain that it arrived.", "paths": {"/docs": "The API reference."},
}  # fmt: skip
_PARAMETERS: Final[dict[str, Any]] = {
    "sessions.id": _SESSION, "keys.id": "key_2m4n6p8q", "invitations.id": "inv_7r9s1t3u", "payouts.id": "pay_5v7w9x1y", "sweeps.id": "swp_3z5a7b9c",
    "transactions.id": "txn_1d3e5f7g", "settle-usdc.id": "stl_9h1i3j5k", "policy.id": "pol_2l4m6n8o", "checkout.file": "main-YHLUMOID.js",
    "console.file": "0123456789abcdef/app.js", "client.file": "index.js",
    "docs.file": "reference.js",
    "Idempotency-Key": "6f1c2f0e-8a4d-4b57-9d0b-2f6f0c1d7a35", "Last-Event-ID": "5", "Accept": "application/json", "X-OTP": "123456",
    "If-None-Match": '"5f2d9c7b1a3e4f60"', "Authorization": "Bearer ork_example",
}  # fmt: skip
VALUES: Final[dict[str, Any]] = {
    "id": _SESSION, **_TREASURY, **_PURCHASE, **_CONFIG, **_LOGIN, **_KEYS, **_CONSOLE, **_PASSKEYS, **_ALARMS, **_HOOKS, **_VIEWS, **_OTHER, **_PARAMETERS,
}  # fmt: skip
