"""One EVM node: its JSON-RPC client, batching, budget, health and known history."""
