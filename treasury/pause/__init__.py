"""What people have stopped: sales, payouts, sweeps; stopped by one person, let go again by another."""
