"""Rate limits for each client, shared by all replicas through Redis if it is configured."""
