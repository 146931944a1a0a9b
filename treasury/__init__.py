"""The money: what buyers are owed, what is signed to pay them, what goes to the cold wallet, and the ledger of all movements."""
