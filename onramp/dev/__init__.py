"""Development on one machine: a real EVM node with the real contracts, the Stripe sandbox, and the service between them."""
