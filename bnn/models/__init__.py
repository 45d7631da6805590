"""Networks: each a file of its own and a line in the registry."""
