"""Columns by arithmetic from simulated cells."""
