"""A quote: what a purchase would cost and bring, as an estimate."""
