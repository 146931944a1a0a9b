"""Turn pydantic's validation messages into the end of a sentence that begins with a field's name, such as "must be a valid integer"."""


def validation_text(message: str) -> str:
    """Return pydantic's message as text that follows a field's name, such as "must be a valid integer"."""
    return message.removeprefix("Value error, ").replace("Input should be", "must be").partition(", unable to")[0]
