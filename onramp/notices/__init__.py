"""Notifications for operators: planned from alarms and changes, stored, and sent to each target."""
