"""What operators look at over HTTP: what is wrong now, what waits for a person, purchases, events, notifications, nodes, and a search."""
