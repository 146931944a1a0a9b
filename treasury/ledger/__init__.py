"""The ledger: where every coin of the hot wallet is and where it went, by double entry, append-only, in integers."""
