"""Several nodes as one source: first answer, quorum, broadcast."""
