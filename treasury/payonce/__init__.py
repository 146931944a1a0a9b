"""PayOnce, the contract that pays many buyers at once: deploy it with the hot wallet's key."""
