"""EVM nodes: one pool of unreliable nodes turned into answers that can be trusted."""
