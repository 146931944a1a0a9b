"""The public configuration: the facts about this service that a dApp needs before it sells."""
