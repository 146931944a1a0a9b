"""The client as `make setup` builds it, served as ES modules and as a package; and the files of the checkout page from the same build."""
