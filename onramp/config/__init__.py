"""The settings: their fields, how they are read from the environment, and how they are validated together."""
