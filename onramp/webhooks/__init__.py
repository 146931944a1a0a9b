"""Stripe's webhooks: verified, stored once, acknowledged. What an event means is always fetched from Stripe again."""
