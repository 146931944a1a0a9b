"""Access control: API keys, invitations, wallet logins, and the guard of every route."""
