"""Development on this computer: processes, a wallet, API keys."""
