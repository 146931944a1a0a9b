"""The operator console: its files, and the policy under which a browser shows them. It reads and changes everything by `/api/v1`."""
