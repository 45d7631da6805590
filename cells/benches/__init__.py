"""Test benches of single cells, transistors and loads."""
