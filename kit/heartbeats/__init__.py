"""Heartbeats: each process that runs workers writes down every few seconds that they are there, for the processes that do not."""
