"""Stripe's Crypto Onramp, as its documents describe it, for development and tests: the real client runs against it unchanged."""
