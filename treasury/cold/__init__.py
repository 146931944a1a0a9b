"""The cold wallet: a Safe that proves itself before money goes there, and from which we prepare but never sign."""
