"""Transactions of the hot wallet that no row of ours explains."""
