"""Screening: whom we may not pay, asked when a purchase begins and again before it is paid out."""
