"""EVM nodes: a pool that turns several unreliable nodes into answers that can be trusted."""
