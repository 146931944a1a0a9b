"""Key rings and encryption of values at rest."""
