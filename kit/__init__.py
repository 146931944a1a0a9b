"""Tools without business sense: database, HTTP furniture, workers, logs."""
