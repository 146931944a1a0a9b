"""Request and response models of the treasury's routes, one module for each noun."""
