"""The treasury over HTTP: the pages that viewers read, and the commands of operators and approvers; one module for each noun."""
