"""Fused kernels: partial sums of packed bits, their errors and their read-out in one loop."""
