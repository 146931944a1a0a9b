"""Background work: monitor nodes, cross-check providers, and web3 over the pool."""
