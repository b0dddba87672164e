"""Tags that follow the inputs, and what is built, loaded and kept."""

from collections.abc import Callable
from pathlib import Path

import pytest

from local_cluster.base_image import find_archive
from local_cluster.builder import Build, build_command, merge_pip_settings
from local_cluster.errors import ImageNotBuilt
from local_cluster.image_inputs import content_tag, copied_sources
from local_cluster.images import load_derived_image, load_project_image, plan_build

DOCKERFILE = """ARG BASE_IMAGE=python:3.11-slim
FROM ${BASE_IMAGE} AS build
ARG VARIANT=sklearn
COPY requirements-${VARIANT}.txt /r.txt
COPY --chown=1:1 source \\
     /source
FROM ${BASE_IMAGE}
COPY --from=build /venv /venv
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "source" / "__pycache__").mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "requirements-sklearn.txt").write_text("scikit-learn\n")
    (folder / "requirements-torch.txt").write_text("torch\n")
    (folder / "source" / "app.py").write_text("print()\n")
    (folder / "source" / "__pycache__" / "app.pyc").write_bytes(b"1")
    (folder / "notes.md").write_text("not copied\n")
    return folder


def tag(project: Path, **arguments: str) -> str:
    return content_tag(project / "Dockerfile", project, arguments)


def test_sources_are_read_with_arguments_defaults_and_continued_lines() -> None:
    assert copied_sources(DOCKERFILE, {"VARIANT": "torch"}) == ["requirements-torch.txt", "source"]
    assert copied_sources(DOCKERFILE, {}) == ["requirements-sklearn.txt", "source"]
    assert copied_sources('COPY ["a b", "c", "/d"]\nADD https://x/y /z\n', {}) == ["a b", "c"]


def test_tag_stays_when_nothing_that_is_copied_changes(project: Path) -> None:
    before = tag(project)
    (project / "notes.md").write_text("changed\n")
    (project / "requirements-torch.txt").write_text("changed\n")
    (project / "source" / "__pycache__" / "app.pyc").write_bytes(b"2")
    assert tag(project) == before
    assert len(before) == 12


@pytest.mark.parametrize("change", ["source/app.py", "source/new.py", "requirements-sklearn.txt", "Dockerfile"])
def test_tag_changes_with_every_input(project: Path, change: str) -> None:
    before = tag(project)
    with (project / change).open("a") as file:
        file.write("# changed\n")
    assert tag(project) != before


def test_tag_changes_with_the_base_image_and_the_variant(project: Path) -> None:
    assert (
        len({tag(project), tag(project, BASE_IMAGE="a"), tag(project, BASE_IMAGE="b"), tag(project, VARIANT="torch")})
        == 4
    )


def test_missing_input_is_named(project: Path) -> None:
    with pytest.raises(ImageNotBuilt, match="requirements-gpu"):
        tag(project, VARIANT="gpu")
    with pytest.raises(ImageNotBuilt, match="no Dockerfile"):
        content_tag(project / "missing", project, {})
    with pytest.raises(ImageNotBuilt, match="no folder"):
        plan_build(project / "Dockerfile", project / "missing", "localhost/a", {})


def test_reference_takes_the_tag_that_was_asked_for(project: Path) -> None:
    plan = plan_build(project / "Dockerfile", project, "localhost:5000/mine:v1", {})
    assert plan.reference == "localhost:5000/mine:v1"
    plan = plan_build(project / "Dockerfile", project, "localhost:5000/mine", {})
    assert plan.reference == f"localhost:5000/mine:{tag(project)}"


class Shelf:
    """A cluster that only remembers what was done."""

    def __init__(self) -> None:
        self.built: list[str] = []
        self.loaded: list[str] = []
        self.kept: list[tuple[str, str]] = []

    def base(self, report: Callable[[str], None]) -> str:
        report("base")
        return "localhost/base:1"

    def is_built(self, reference: str) -> bool:
        return reference in self.built

    def build(self, build: Build, log: Path) -> None:
        assert log.name.endswith(".log")
        self.built.append(build.reference)

    def has(self, reference: str) -> bool:
        return reference in self.loaded

    def load(self, reference: str) -> None:
        self.loaded.append(reference)

    def remove_others(self, repository: str, kept: str) -> None:
        self.kept.append((repository, kept))


def load_mine(project: Path, shelf: Shelf, tag: str = "localhost/mine") -> str:
    return load_derived_image(project / "Dockerfile", project, tag, {}, shelf, lambda _: None)


def test_image_is_built_and_loaded_once_while_its_inputs_stay(project: Path) -> None:
    shelf = Shelf()
    first = load_mine(project, shelf)
    assert load_mine(project, shelf) == first
    assert shelf.built == shelf.loaded == [first]
    (project / "source" / "app.py").write_text("changed\n")
    second = load_mine(project, shelf)
    assert shelf.built == shelf.loaded == [first, second]
    assert shelf.kept[-1] == ("localhost/mine", second)


def test_image_with_a_chosen_tag_is_built_each_time(project: Path) -> None:
    shelf = Shelf()
    for _ in range(2):
        assert load_mine(project, shelf, "localhost/mine:test") == "localhost/mine:test"
    assert shelf.built == shelf.loaded == ["localhost/mine:test"] * 2


def test_new_cluster_loads_what_is_built_already(project: Path) -> None:
    shelf = Shelf()
    reference = load_mine(project, shelf)
    shelf.loaded.clear()
    load_mine(project, shelf)
    assert (shelf.built, shelf.loaded) == ([reference], [reference])


def test_base_is_loaded_by_name_and_unknown_names_are_refused() -> None:
    shelf = Shelf()
    assert load_project_image("base", shelf, lambda _: None) == "localhost/base:1"
    assert shelf.loaded == ["localhost/base:1"]
    with pytest.raises(ImageNotBuilt, match="runtime-sklearn"):
        load_project_image("nope", shelf, lambda _: None)


def test_build_mounts_are_read_only_and_set_no_variables(project: Path) -> None:
    build = Build(project / "Dockerfile", project, "localhost/a:1", {"B": "2", "A": "1"})
    words = [str(word) for word in build_command(build, {Path("/x/pip.conf"): Path("/etc/pip.conf")})]
    assert "/x/pip.conf:/etc/pip.conf:ro" in words
    assert words.index("A=1") < words.index("B=2")
    assert "--env" not in words
    assert words[-1] == str(project)


def test_pip_settings_are_the_file_overridden_by_variables() -> None:
    text = merge_pip_settings("[global]\nindex-url = one\ntimeout = 5\n", {"PIP_INDEX_URL": "two%20", "HOME": "/"})
    assert "index-url = two%20" in text
    assert "timeout = 5" in text
    assert "HOME" not in text.upper().replace("HOME/", "")
    assert merge_pip_settings("", {}) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\n", "http://mirror.example/debian"),
        (
            "# nothing\ndeb [signed-by=/k] https://mirror.example/debian bookworm main\n",
            "https://mirror.example/debian",
        ),
        ("deb https://apt.example/tools bookworm main\n", "http://deb.debian.org/debian"),
        ("", "http://deb.debian.org/debian"),
    ],
)
def test_debian_is_taken_from_where_the_machine_takes_it(text: str, expected: str) -> None:
    assert find_archive([text]) == expected
