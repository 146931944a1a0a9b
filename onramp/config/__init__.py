"""The environment: settings, their fields, and rules across them."""
