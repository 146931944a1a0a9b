"""A delivery: the MUSD transfer that a session waits for, believed only when enough operators say the same."""
