"""Reads of the chain that enough providers agree on: receipts, transfers, logs, wallets, Safes; and broadcasts."""
