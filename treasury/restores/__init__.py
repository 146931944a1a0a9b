"""Restores of the database: how many nonces of the hot wallet are spent by empty transfers before anything is paid again."""
