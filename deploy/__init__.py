"""Files for running the service; nothing here is part of it."""
