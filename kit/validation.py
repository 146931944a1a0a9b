"""Pydantic's validation messages as sentences for people."""


def validation_text(message: str) -> str:
    """Return pydantic's message as the end of a sentence whose subject is the name of the field."""
    return message.removeprefix("Value error, ").replace("Input should be", "must be").partition(", unable to")[0]
