"""Bills of materials: CycloneDX documents of what is locked for an image, with licences.

The library for CycloneDX reads the lock; licences are not in it, and come from the same packages as they are installed here.
"""

import json
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from supply_chain.locks import TOOLS, Image

Document = dict[str, Any]
MAX_LICENCE_NAME = 100
"""Some packages put the whole text into the field for the name."""


def build_bill(image: Image) -> Document:
    """Return the bill of materials of an image's Python packages, the same each time for the same lock."""
    command = [TOOLS / "cyclonedx-py", "requirements", image.lock, "--of", "JSON", "--output-reproducible"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    return complete_bill(json.loads(done.stdout), image)


def complete_bill(bill: Document, image: Image) -> Document:
    """Return the bill with the image as what it is about, and with licences and names instead of lines of the lock."""
    components = [complete_component(component) for component in bill["components"]]
    purl = f"pkg:pypi/{image.distribution}@{image.version}"
    subject = {
        "type": "container",
        "name": image.name,
        "version": image.version,
        "bom-ref": image.name,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    own = {"type": "application", "name": image.distribution, "version": image.version, "purl": purl, "bom-ref": purl}
    needs = sorted(component["bom-ref"] for component in components)
    return {
        **bill,
        "metadata": {**bill.get("metadata", {}), "component": subject},
        "components": [own, *sorted(components, key=lambda component: str(component["bom-ref"]))],
        "dependencies": [{"ref": image.name, "dependsOn": [purl]}, {"ref": purl, "dependsOn": needs}],
    }


def complete_component(component: Document) -> Document:
    """Return a component under its package URL, with its licence where it is known."""
    kept = {name: value for name, value in component.items() if name != "description"}
    licences = find_licences(component["name"], component["version"])
    return {**kept, "bom-ref": component["purl"], **({"licenses": licences} if licences else {})}


def find_licences(name: str, version: str) -> list[Document]:
    """Return a package's licences as CycloneDX has them; empty when this very version is not installed here, or says nothing."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return []
    return read_licences(found.metadata.json) if found.version == version else []


def read_licences(metadata: Mapping[str, Any]) -> list[Document]:
    """Return the licences that a package's metadata names: an SPDX expression, else the classifiers, else the free text."""
    expression = metadata.get("license_expression")
    if expression:
        return [{"expression": expression}]
    classified = [
        text.rpartition(" :: ")[2] for text in metadata.get("classifier", ()) if text.startswith("License :: ")
    ]
    text = str(metadata.get("license") or "").strip().splitlines()
    names = classified or [line for line in text[:1] if len(line) <= MAX_LICENCE_NAME]
    return [{"license": {"name": name}} for name in names]


def write_bill(image: Image, folder: Path) -> Path:
    """Write the bill of an image to `<folder>/<image>.cdx.json` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{image.name}.cdx.json"
    path.write_text(json.dumps(build_bill(image), indent=2, sort_keys=True) + "\n")
    return path
