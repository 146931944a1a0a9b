"""The audit trail: who changed what, written in the transaction of the change, linked into a keyed chain within a second."""
