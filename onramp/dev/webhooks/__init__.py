"""A receiver of the service's webhooks, for development: it verifies each message, shows it, and can be made to fail."""
