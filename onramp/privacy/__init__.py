"""Personal data: what a buyer gave beyond a public wallet, encrypted, kept for a while, shown and erased on request."""
