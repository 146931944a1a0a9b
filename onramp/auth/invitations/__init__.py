"""Invitations: a link that yields one API key, once, to whoever it was meant for; no secret passes through the inviter."""
