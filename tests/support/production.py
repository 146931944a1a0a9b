"""The environment of a process with ENVIRONMENT=production, without real secrets."""

import base64
import os
import secrets


def _key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def production_environment(database_url: str) -> dict[str, str]:
    """Name a chain and a Stripe that do not answer: both are waited for."""
    return {
        "PATH": os.environ["PATH"],
        "ENVIRONMENT": "production",
        "DATABASE_URL": database_url,
        "DELIVERY_MODE": "observe",
        "DELIVERY_SENDERS": "0x976EA74026E726554dB657fA54763abd0C3a0aa9",
        "SETTLEMENT_ADDRESS": "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
        "STRIPE_SECRET_KEY": "sk_test_" + secrets.token_hex(16),
        "STRIPE_PUBLISHABLE_KEY": "pk_test_" + secrets.token_hex(16),
        "STRIPE_WEBHOOK_SECRETS": "whsec_" + secrets.token_hex(16),
        "METRICS_TOKEN": secrets.token_hex(16),
        "DATA_KEYS": _key(),
        "JWT_SECRETS": _key(),
        "MEZO_RPC_URLS": "a=http://127.0.0.1:9,b=http://127.0.0.1:19",
    }
