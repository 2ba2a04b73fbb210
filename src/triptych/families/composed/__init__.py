"""Composed models: encoders, adapters, a fusion and a language model."""
