"""Where notifications for operators go: the targets that a setting names."""
