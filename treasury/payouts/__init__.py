"""Payouts: what a completed purchase owes its buyer, once."""
