"""Labelled images: each set a file of its own and a line in the registry."""
