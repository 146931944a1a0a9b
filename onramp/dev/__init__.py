"""Everything on one machine for development: an EVM node with the real contracts, a Stripe sandbox, and the service."""
