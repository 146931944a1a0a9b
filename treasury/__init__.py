"""The money: signers, transactions, payouts, and the one sender that moves them."""
