"""The checkout page: its document, its policy, and the files that `client/` builds for it, against our own public API."""
