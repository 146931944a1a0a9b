"""The money: what is owed, what was signed for it, what goes to the cold wallet, and the books of all of it."""
