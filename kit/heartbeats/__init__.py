"""Heartbeats: each process records every few seconds which workers it runs, so that other processes can see them."""
