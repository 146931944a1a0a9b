"""Deliveries: find the MUSD transfer of each paid session on chain, and believe it only once enough nodes agree on it."""
