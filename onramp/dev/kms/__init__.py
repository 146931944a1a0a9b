"""Fakes of AWS KMS and Google Cloud KMS at wire level, for development and tests."""
