"""The cold wallet: a Safe that is verified before money goes there. Its transactions are prepared here and never signed here."""
