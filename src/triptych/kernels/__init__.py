"""Arithmetic that is faster on the CPU than what PyTorch and transformers do, with the same values."""
