"""The service: sessions, webhooks, deliveries, the sandbox, the app and the command line."""
