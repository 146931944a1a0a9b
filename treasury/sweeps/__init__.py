"""Sweeps: move what the hot wallet does not need to the cold wallet."""
