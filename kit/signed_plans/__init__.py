"""Passkeys: plans that persons sign with their own devices, and signatures that can be verified years later without the service."""
