"""Building models of transformers without its progress bars and its remarks on tiny vocabularies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from triptych.language.quiet import quiet


@contextmanager
def silent() -> Iterator[None]:
    """Errors of transformers alone are shown inside the block."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with quiet():
            yield
    finally:
        logging.set_verbosity(before)
