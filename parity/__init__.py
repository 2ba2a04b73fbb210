"""Triptych held against other implementations, number by number, on tiny random weights: what `triptych verify` runs.

    parity/*.py          systems and their parts against transformers, peft, timm, or published code written plainly
    parity/formats/      every checkpoint format, in and out, against what else reads it
    parity/official/     readings of answers and scores against official scripts and lmms-eval
    parity/tiny/         tiny tokenizers, configurations and models that the comparisons and the tests share

The folder is part of a clone and not of the installed package; nothing in the package imports it but the command.
"""

from parity.check import Check

PROJECT = "triptych"
"""By this the command knows that a package `parity` is this one."""

__all__ = ["PROJECT", "Check"]
