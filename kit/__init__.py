"""Tools without business logic: database, HTTP, workers, cryptography, audit trail, logs."""
