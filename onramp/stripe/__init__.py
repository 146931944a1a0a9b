"""Stripe's Crypto Onramp behind a port: requests, replies, and what Stripe's errors mean for a buyer."""
