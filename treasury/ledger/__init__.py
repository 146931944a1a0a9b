"""Where every coin of the hot wallet is, and where it went: double entry, append-only, in integers."""
