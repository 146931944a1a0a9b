"""Sessions of the console: a person's login in a browser, kept by a cookie, resolved to the same caller as the person's API key."""
