"""Transistors, mismatch, SRAM cells, columns and read-outs, built as PySpice circuits."""
