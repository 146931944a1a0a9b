"""A local EVM node with the real contracts, and proxies that misbehave as real nodes do."""
