"""The money: what buyers are owed, what is signed to pay them, what goes to the cold wallet, and the books of all of it."""
