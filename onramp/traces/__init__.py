"""Traces of whole purchases: what workers do belongs to the trace of the request that created the purchase."""
