"""Quorum reads of the chain: receipts, transfers, logs, wallets, Safes."""
