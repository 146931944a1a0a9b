"""Outgoing webhooks: signed messages to the servers of those who subscribed to events (https://www.standardwebhooks.com).

`planner.py` turns changes of the outbox into stored messages, `worker.py` sends them until each receiver has accepted them. Stripe's webhooks,
which arrive here, are `onramp/webhooks`.
"""
