"""What may leave the hot wallet without a person, and how much stays: the file, the active version, the planner."""
