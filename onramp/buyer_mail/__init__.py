"""Mail to buyers who gave an address: paid, delivered, or being looked into. Each is sent once for a purchase, and only if a mail server is configured."""
