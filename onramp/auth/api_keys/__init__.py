"""Operators' API keys: a role, a person, a secret shown once."""
