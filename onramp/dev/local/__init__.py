"""What development needs of this machine: processes, a wallet, API keys."""
