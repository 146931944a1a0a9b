"""PayOnce, the contract that pays many buyers at once: deploy it, and approve how much it may move, with the hot wallet's key."""
