"""Every table of every floor, imported so that they stand in the shared metadata together."""

import chain.credits
import kit.audit.table
import kit.counts
import kit.heartbeats.table
import onramp.api_keys.table
import onramp.deliveries.table
import onramp.deployment.table
import onramp.invitations.table
import onramp.login.table
import onramp.privacy.table
import onramp.sessions.searches
import onramp.sessions.settlements
import onramp.sessions.table
import onramp.webhooks.table
import treasury.answers.table
import treasury.foreign.table
import treasury.history
import treasury.hot_wallets
import treasury.inventory
import treasury.leader
import treasury.ledger.table
import treasury.pause.table
import treasury.payouts.table
import treasury.policy.table
import treasury.settlements.table
import treasury.sweeps.table
import treasury.transactions.table

__all__ = ["chain", "kit", "onramp", "treasury"]
