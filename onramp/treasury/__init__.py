"""The treasury over HTTP: what viewers see, and what operators and approvers order."""
