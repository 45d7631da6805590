"""How a column is read."""
