"""Passkeys of persons: enrolled, removed, and used to sign the plan of a command in place of a one-time code."""
