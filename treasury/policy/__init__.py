"""The policy: how much may leave the hot wallet without a person, and how much stays. The file, its versions, the active one, the planner."""
