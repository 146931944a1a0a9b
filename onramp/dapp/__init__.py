"""The public configuration: what a dApp needs to know about this service before it sells."""
