"""Alarms: each is logged once, stored while it lasts, shared by all processes, and ended by code, a person or time."""
