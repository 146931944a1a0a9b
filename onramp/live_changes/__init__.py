"""What changed in the database, told to open event streams within a second: kinds and ids, which the reader then reads again."""
