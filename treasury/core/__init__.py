"""The parts that payouts, sweeps and transactions share: statuses, facts, reasons, history, sums, assets, and the leader of a wallet."""
