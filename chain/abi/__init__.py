"""Pure encoding and decoding of the ABI types in use."""
