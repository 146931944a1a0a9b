"""What payouts, sweeps and transactions share: statuses, history, sums, assets, the leader."""
