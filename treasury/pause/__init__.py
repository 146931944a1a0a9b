"""Pauses of sales, payouts and sweeps: one person pauses, another person resumes."""
