"""The identity of the deployment: an id created with the database and carried by every session at Stripe."""
