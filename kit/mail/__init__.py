"""Send mail through an SMTP server, over verified TLS."""
