"""Which deployment this database is: an id made with the database, which every session at Stripe carries."""
