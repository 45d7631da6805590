"""Variances and intervals."""
