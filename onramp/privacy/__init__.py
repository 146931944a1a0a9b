"""Personal data: what a buyer gave beyond a public wallet address. It is encrypted, kept for a limited time, and shown or erased on request."""
