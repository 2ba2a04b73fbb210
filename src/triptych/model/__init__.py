"""The composed model: encoders, adapters and language model as one."""
