"""Systems held against their reference implementations, number by number."""

from triptych.verify.check import Check

__all__ = ["Check"]
