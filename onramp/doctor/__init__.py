"""Check each part of a deployment on its own, so that one broken part does not hide another."""
