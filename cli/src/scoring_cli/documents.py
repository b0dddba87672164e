"""Kubernetes objects as files hold them: YAML or JSON, several in a file, files in folders, or standard input."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from scoring_cli.errors import InputInvalid
from scoring_cli.files import STANDARD_INPUT, describe_source, read_text

Manifest = dict[str, Any]

SUFFIXES = (".yaml", ".yml", ".json")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml's, where it is there
    """Safe; a date stays the text that it is, as for kubectl."""


_Loader.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)


def read_manifests(paths: Iterable[Path]) -> list[Manifest]:
    """Return the objects of files, of all such files in folders, and of standard input for `-`; lists are taken apart.

    Raises InputInvalid, naming the file.
    """
    return [body for path in paths for text, name in _read(path) for body in _parse(text, name)]


def _read(path: Path) -> Iterator[tuple[str, str]]:
    is_folder = path != STANDARD_INPUT and path.is_dir()
    files = sorted(one for one in path.iterdir() if one.suffix in SUFFIXES) if is_folder else [path]
    for file in files:
        yield read_text(file, "FILE"), describe_source(file)


def _parse(text: str, name: str) -> Iterator[Manifest]:
    try:
        documents = list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        raise InputInvalid(f"{name} is no YAML: {' '.join(str(error).split())}") from error
    for document in documents:
        if document is not None:
            yield from _take_apart(document, name)


def _take_apart(document: object, name: str) -> Iterator[Manifest]:
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise InputInvalid(
            f"{name} holds something that is no Kubernetes object: each needs apiVersion, kind and metadata."
        )
    if document["kind"].endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _take_apart(item, name)
        return
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise InputInvalid(f"{name}: {document['kind']}: metadata.name is missing: give it a name.")
    yield document
