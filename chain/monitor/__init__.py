"""Background work: monitor nodes, cross-check operators, and web3 over the pool."""
