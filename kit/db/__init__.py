"""SQLAlchemy on SQLite and Postgres: engines, column types, bulk statements, compare-and-set, leases, paging."""
