"""The way back from a backup: an ordered checklist that is stored, so that it can be interrupted and continued."""
