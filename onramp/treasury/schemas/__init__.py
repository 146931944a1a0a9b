"""Request and response models of the treasury's routes."""
