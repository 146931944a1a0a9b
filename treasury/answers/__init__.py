"""What persons say of coins and transactions that no row explains."""
