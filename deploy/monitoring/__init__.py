"""Generators of the rules and dashboards in this folder; no part of the service."""
