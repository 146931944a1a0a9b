"""Stripe's Crypto Onramp, behind a port: what we ask, what comes back, and what its errors mean for a buyer."""
