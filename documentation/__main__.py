"""`python -m documentation FOLDER`: writes the API reference from crds/, a page for each kind."""

from argparse import ArgumentParser
from pathlib import Path

from documentation.pages import render_pages


def main() -> None:
    """Write the pages into the folder named on the command line."""
    parser = ArgumentParser(prog="python -m documentation", description=main.__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in render_pages().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()
