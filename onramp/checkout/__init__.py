"""The checkout page: plain HTML, CSS and ES modules, against our own public API."""
