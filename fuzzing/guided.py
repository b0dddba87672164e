"""Coverage-guided fuzzing of one target by atheris. A program of its own: libFuzzer ends its process.

python -m fuzzing.guided TARGET SECONDS CORPUS
"""

import logging
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["scoring_runtime", "scoring_operator"], enable_loader_override=False):
    from fuzzing.targets import TARGETS

MAX_INPUT_BYTES = 8192
MAX_INPUT_SECONDS = 20
MAX_MEMORY_MIB = 4096


def main() -> None:
    """Fuzz until the time is over (exit status 0) or something is found (another one; the input is then printed and kept)."""
    name, seconds, corpus = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    target = TARGETS[name]
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
        target.feed(seed)
    logging.disable(logging.CRITICAL)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_INPUT_BYTES}",
        f"-timeout={MAX_INPUT_SECONDS}",
        f"-rss_limit_mb={MAX_MEMORY_MIB}",
        f"-artifact_prefix={corpus.parent}/found-{name}-",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], target.feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
