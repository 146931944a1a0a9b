"""The development stack on one machine: an EVM node with the real contracts, a Stripe sandbox, and the service."""
