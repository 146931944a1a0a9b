"""Login to the console through an OpenID Connect provider."""
