"""The outbox: changes of watched rows, stored by database triggers in the transaction that makes them, for those who subscribed to them."""
