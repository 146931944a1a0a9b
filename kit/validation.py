"""What pydantic finds wrong, in the words of a person."""


def validation_text(message: str) -> str:
    """Pydantic's message as the end of a sentence that begins with the name of what is wrong."""
    return message.removeprefix("Value error, ").replace("Input should be", "must be").partition(", unable to")[0]
