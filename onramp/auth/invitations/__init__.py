"""Invitations: a link that yields one API key, once, to its receiver; the person who invites never sees the secret."""
