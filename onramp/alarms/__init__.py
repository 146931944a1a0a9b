"""The alarms of the service: their one table, what ends them, and what persons see and do about them."""
