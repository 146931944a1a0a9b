"""Verify who signed a message: externally owned accounts, contract wallets, bitcoin wallets."""
