"""Background work: monitor nodes, and compare what providers answer."""
