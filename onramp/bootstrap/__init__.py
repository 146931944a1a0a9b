"""Composition: build the service from its settings, start it, stop it."""
