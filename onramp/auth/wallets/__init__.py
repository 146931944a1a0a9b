"""Wallets log in: a message to sign, a signature to check, a token to read one's own with."""
