"""Stripe's webhooks: verified, stored once, answered; what they mean is asked of Stripe again."""
