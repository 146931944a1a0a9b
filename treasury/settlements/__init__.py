"""USDC that persons say has arrived: proved on its own chain, or said by two persons; and taken back by two."""
