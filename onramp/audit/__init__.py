"""The audit trail, shown: over HTTP and as JSON lines."""
