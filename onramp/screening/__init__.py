"""Screening: addresses that must not be paid, checked when a purchase starts and again before it is paid out."""
