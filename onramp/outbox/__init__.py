"""Turn stored changes into what is sent about them: outgoing webhooks, notifications and mail."""
