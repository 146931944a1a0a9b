"""Who may do what: API keys, invitations, wallet logins, and the guard of every route."""
