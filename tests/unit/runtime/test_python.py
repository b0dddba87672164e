"""The format python: a class from the image, loaded and asked; each way in which it can be wrong."""

from pathlib import Path

import numpy as np
import pytest

from runtime_tasks import load_python
from scoring_runtime.errors import FormatNotInstalledError, ManifestInvalidError, ModelInvalidError
from scoring_runtime.scorers import ModelSource
from scoring_runtime.scorers.python import PythonScorer


def load(class_path: str) -> PythonScorer:
    scorer = PythonScorer()
    scorer.load(ModelSource(Path(), Path(), {"class": class_path}))
    return scorer


def test_class_is_loaded_from_the_models_path_and_scores(tmp_path: Path) -> None:
    scorer = load_python("Sum", tmp_path)
    assert scorer.model.path == tmp_path
    assert scorer.score({"x": np.ones((2, 4))})["y"].tolist() == [4.0, 4.0]


def test_report_names_the_class() -> None:
    assert load_python("Sum").report == {"class": "python_models:Sum"}


def test_signature_of_the_class_is_that_of_the_scorer() -> None:
    signature = load_python("Sum").signature
    assert signature is not None
    assert [(spec.name, spec.datatype, spec.shape) for spec in signature.inputs] == [("x", "FP64", (-1, 4))]


def test_signature_is_none_where_the_class_tells_none() -> None:
    assert load_python("Echo").signature is None


@pytest.mark.parametrize("class_path", ["python_models", "python_models.Sum", "../x:Sum", "", "a:b:c", 3])
def test_option_that_is_no_class_path_is_refused(class_path: str) -> None:
    with pytest.raises(ManifestInvalidError, match=r"options\.class"):
        load(class_path)


def test_missing_options_are_refused() -> None:
    with pytest.raises(ManifestInvalidError, match=r"options\.class"):
        PythonScorer().load(ModelSource(Path(), Path(), {}))


def test_missing_module_asks_for_an_image_that_has_it() -> None:
    with pytest.raises(FormatNotInstalledError, match=r"no module 'nowhere'.*spec\.runtime\.image"):
        load("nowhere.models:Sum")


def test_module_in_the_artifact_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "smuggled.py").write_text("class Model: ...")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FormatNotInstalledError):
        PythonScorer().load(ModelSource(tmp_path, tmp_path, {"class": "smuggled:Model"}))


@pytest.mark.parametrize("name", ["Missing", "np"])
def test_name_that_is_no_class_of_the_module_is_refused(name: str) -> None:
    with pytest.raises(ManifestInvalidError, match=f"python_models has no class '{name}'"):
        load_python(name)


def test_class_without_score_is_refused() -> None:
    with pytest.raises(ModelInvalidError, match="has no method score"):
        load_python("WithoutScore")


def test_class_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"no weights in {tmp_path.name}"):
        load_python("Broken", tmp_path)


def test_wrong_signature_of_the_class_is_refused_with_its_field() -> None:
    with pytest.raises(ModelInvalidError, match=r"signature\.inputs\.0\.datatype"):
        load_python("WrongSignature")
