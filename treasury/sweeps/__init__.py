"""Sweeps: what the hot wallet holds beyond its need goes to the cold wallet."""
