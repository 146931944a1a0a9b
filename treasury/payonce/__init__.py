"""PayOnce, the contract that pays many buyers at once: deploy it, and approve what it may move, with the hot wallet's key."""
