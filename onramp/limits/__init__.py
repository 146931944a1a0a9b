"""Limits: how often one client may ask, shared by replicas through Redis where there is one."""
