"""Import every table of every layer, so that all of them are in the shared metadata."""

import chain.node.credits
import chain.reads.cursor
import kit.alarms.table
import kit.audit.table
import kit.db.ended_counts
import kit.heartbeats.table
import kit.outbox.table
import kit.signed_plans.table
import onramp.auth.api_keys.table
import onramp.auth.console_sessions.table
import onramp.auth.invitations.table
import onramp.auth.oidc.table
import onramp.auth.passkeys.table
import onramp.auth.wallets.table
import onramp.buyer_mail.table
import onramp.deliveries.table
import onramp.deployment.table
import onramp.hooks.table
import onramp.live_changes.table
import onramp.notices.table
import onramp.recovery.table
import onramp.sessions.contacts
import onramp.sessions.payment_searches
import onramp.sessions.settlement_addresses
import onramp.sessions.table
import onramp.traces.table
import onramp.webhooks.table
import treasury.balances
import treasury.core.history
import treasury.core.hot_wallets
import treasury.core.leader
import treasury.incidents.resolutions
import treasury.incidents.table
import treasury.ledger.table
import treasury.ledger.totals
import treasury.pause.table
import treasury.payouts.table
import treasury.policy.table
import treasury.restores.table
import treasury.settlements.table
import treasury.sweeps.table
import treasury.transactions.table

__all__ = ["chain", "kit", "onramp", "treasury"]
