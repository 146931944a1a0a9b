"""Signers: they get a structured intent, never a digest, and answer signed bytes."""
