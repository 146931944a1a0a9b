"""A session: one purchase, from the amount a buyer types to the proof that MUSD arrived."""
