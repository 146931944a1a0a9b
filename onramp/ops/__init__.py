"""Operations: health, readiness, metrics, telemetry, and the cleaning of old rows."""
