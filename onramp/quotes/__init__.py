"""Quotes: estimates of what a purchase would cost and deliver."""
