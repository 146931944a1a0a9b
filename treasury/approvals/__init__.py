"""What persons sign when they decide about money, and the check of their signatures before money moves."""
