"""Request and response models of the operators' views."""
