"""Unmatched transactions and missing coins, and how two people resolve them."""
