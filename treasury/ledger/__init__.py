"""The ledger: the account of every coin of the hot wallet and where it went, by double entry, append-only, in integers."""
