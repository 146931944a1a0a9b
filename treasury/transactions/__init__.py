"""Transactions of a hot wallet: one nonce, one intent, and the signed bytes that carry it out."""
