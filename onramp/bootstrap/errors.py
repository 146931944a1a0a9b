"""The error that stops a start."""


class StartError(Exception):
    """The service cannot start with this configuration. The text says what to do."""
