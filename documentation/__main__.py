"""`python -m documentation FOLDER`: writes the API reference from crds/, a page for each kind."""

import sys
from pathlib import Path

from documentation.pages import render_pages


def main() -> None:
    """Write the pages into the folder named on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in render_pages().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()
