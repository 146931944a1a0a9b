"""The treasury over HTTP: what viewers see, and the commands of operators and approvers; one module for each noun."""
