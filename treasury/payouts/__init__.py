"""Payouts: what each completed purchase owes its buyer, paid once."""
