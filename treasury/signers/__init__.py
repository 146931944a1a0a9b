"""Signers: each receives a structured intent, never a digest, and returns the signed bytes of a transaction."""
