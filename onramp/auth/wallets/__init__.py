"""Wallet login: a message to sign, the verified signature, and a token that shows the wallet its own purchases."""
