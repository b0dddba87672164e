"""The format mlflow: folders as MLflow saves them, of the flavour sklearn and of others; MLmodel files and what is wrong in them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from runtime_tasks import ask, attach_task, make_signature
from scoring_runtime.artifacts.digests import compute_digest
from scoring_runtime.batching import Batcher
from scoring_runtime.errors import DigestRequiredError, FormatNotInstalledError, ManifestInvalidError, ModelInvalidError
from scoring_runtime.loading import load_model
from scoring_runtime.manifest import Manifest
from scoring_runtime.mlmodel import derive_signature, make_manifest, read_mlmodel
from scoring_runtime.model import ModelSlot
from scoring_runtime.scorers import ModelSource
from scoring_runtime.scorers.mlflow import MlflowScorer
from scoring_runtime.tensors import Signature

TABLE = pd.DataFrame({"age": [20.0, 30.0, 40.0, 50.0], "city": ["a", "b", "a", "b"], "children": [0, 1, 2, 3]})
LABELS = ["no", "yes", "no", "yes"]
RECORDS = TABLE.to_dict("records")

# Saves the models in a process of its own: MLflow warns much while it saves, and its import changes warnings and logs.
_SAVE = """
import sys, joblib, mlflow.sklearn, mlflow.pyfunc
from mlflow.models import infer_signature
quick = {'pip_requirements': ['mlflow-skinny']}  # else MLflow starts itself anew to find out
models = joblib.load(sys.argv[1])
table, classifier, regressor = (models[name] for name in ("table", "classifier", "regressor"))
mlflow.sklearn.save_model(classifier, "table", signature=infer_signature(table, classifier.predict(table)), input_example=table[:2], **quick)
mlflow.sklearn.save_model(classifier, "proba", signature=infer_signature(table), pyfunc_predict_fn="predict_proba", **quick)
rows = table[["age", "children"]].to_numpy()
mlflow.sklearn.save_model(regressor, "rows", input_example=rows[:2], serialization_format="cloudpickle", **quick)
mlflow.sklearn.save_model(regressor, "unsigned", serialization_format="pickle", **quick)
numbers = table[["age", "children"]]
mlflow.sklearn.save_model(models["imputed"], "imputed", signature=infer_signature(numbers), serialization_format="cloudpickle", **quick)
class Double(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["age"] * 2
class Parts(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input[["age", "city"]]
class Rows(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return {"sum": model_input.sum(axis=1)}
mlflow.pyfunc.save_model("double", python_model=Double(), signature=infer_signature(table), **quick)
mlflow.pyfunc.save_model("parts", python_model=Parts(), signature=infer_signature(table), **quick)
mlflow.pyfunc.save_model("tensor", python_model=Rows(), signature=infer_signature(rows.astype("float32")), **quick)
"""


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of MLflow model folders."""
    folder = tmp_path_factory.mktemp("mlflow")
    columns = make_column_transformer((OneHotEncoder(), ["city"]), (StandardScaler(), ["age", "children"]))
    models = {
        "table": TABLE,
        "classifier": make_pipeline(columns, LogisticRegression()).fit(TABLE, LABELS),
        "imputed": make_pipeline(SimpleImputer(), LinearRegression()).fit(
            TABLE[["age", "children"]], [0.0, 1.0, 0.0, 2.0]
        ),
        "regressor": LinearRegression().fit(TABLE[["age", "children"]].to_numpy(), [0.0, 1.0, 0.0, 2.0]),
    }
    joblib.dump(models, folder / "models.joblib")
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-W", "ignore", "-c", _SAVE, "models.joblib"]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return folder


def load(folder: Path, **options: Any) -> MlflowScorer:
    scorer = MlflowScorer()
    scorer.load(ModelSource(folder, folder, options))
    return scorer


def copy(folder: Path, target: Path, **changes: Any) -> Path:
    """Return a copy of a model's folder, with changes at the top of its MLmodel."""
    shutil.copytree(folder, target)
    path = target / "MLmodel"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))
    return target


class TestSklearnFlavour:
    def test_table_is_scored_as_before(self, folders: Path) -> None:
        scorer = load(folders / "table")
        assert ask(attach_task(scorer), RECORDS) == LABELS
        assert scorer.report["flavor"] == "mlflow.sklearn"

    def test_signature_is_that_of_the_folder(self, folders: Path) -> None:
        signature = load(folders / "table").signature
        assert signature is not None
        assert [(spec.name, spec.datatype, spec.shape) for spec in signature.inputs] == [
            ("age", "FP64", (-1,)),
            ("city", "BYTES", (-1,)),
            ("children", "INT64", (-1,)),
        ]

    def test_method_is_the_one_saved_with_the_model(self, folders: Path) -> None:
        assert ask(attach_task(load(folders / "proba")), RECORDS).shape == (4, 2)

    def test_method_of_the_manifest_wins(self, folders: Path) -> None:
        answer = ask(attach_task(load(folders / "table", methods=["predict", "predict_proba"])), RECORDS)
        assert answer.keys() == {"predict", "predict_proba"}

    def test_pickled_model_of_rows_is_scored(self, folders: Path) -> None:
        answer = ask(attach_task(load(folders / "rows")), [[20.0, 0.0], [50.0, 3.0]])
        assert answer.shape == (2,)

    def test_model_without_a_signature_tells_its_own(self, folders: Path) -> None:
        signature = load(folders / "unsigned").signature
        assert signature is not None
        assert signature.inputs[0].shape == (-1, 2)

    def test_mlflow_itself_is_not_imported(self, folders: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from scoring_runtime.scorers import ModelSource; "
            "from scoring_runtime.scorers.mlflow import MlflowScorer; "
            "path = Path(sys.argv[1]); MlflowScorer().load(ModelSource(path, path, {})); assert 'mlflow' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code, str(folders / "table")], check=True)

    @pytest.mark.parametrize("name", ["/etc/passwd", "../table/model.skops", "missing.pkl", ""])
    def test_model_file_outside_the_folder_is_refused(self, folders: Path, tmp_path: Path, name: str) -> None:
        flavors = yaml.safe_load((folders / "table" / "MLmodel").read_text())["flavors"]
        flavors["sklearn"]["pickled_model"] = name
        with pytest.raises(ModelInvalidError, match="names no file of the folder"):
            load(copy(folders / "table", tmp_path / "copy", flavors=flavors))


@pytest.mark.filterwarnings("ignore::Warning")  # MLflow's own, of Python's and its packages' newer versions
class TestOtherFlavours:
    @pytest.fixture(autouse=True)
    def forget_telemetry_setting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")

    def test_model_in_python_is_scored(self, folders: Path) -> None:
        task = attach_task(load(folders / "double"))
        assert ask(task, RECORDS).tolist() == [40.0, 60.0, 80.0, 100.0]
        assert [spec.name for spec in task.signature.outputs] == ["predictions"]

    def test_table_is_answered_by_its_columns(self, folders: Path) -> None:
        answer = ask(attach_task(load(folders / "parts")), RECORDS[:1])
        assert answer["age"].tolist() == [20.0]
        assert answer["city"] == ["a"]

    def test_tensor_is_given_and_a_dict_of_tensors_answered(self, folders: Path) -> None:
        answer = ask(attach_task(load(folders / "tensor")), [[1, 2], [3, 4]])
        assert answer.tolist() == [3.0, 7.0]
        assert answer.dtype == np.float32

    def test_options_are_refused(self, folders: Path) -> None:
        with pytest.raises(ManifestInvalidError, match=r"options\.method"):
            load(folders / "double", method="predict")

    def test_missing_package_asks_for_an_image_that_has_it(self, folders: Path, tmp_path: Path) -> None:
        flavors = {"python_function": {"loader_module": "nowhere_flavor", "python_version": "3.11.0"}}
        with pytest.raises(FormatNotInstalledError, match=r"'nowhere_flavor'.*spec\.runtime\.image"):
            load(copy(folders / "double", tmp_path / "copy", flavors=flavors))


class TestModelFile:
    def test_manifest_is_made_for_a_folder_without_one(self, folders: Path) -> None:
        manifest = Manifest.model_validate(make_manifest(folders / "table"))
        assert (manifest.name, manifest.format, manifest.task, manifest.model) == (
            "mlflow-model",
            "mlflow",
            "prediction",
            ".",
        )
        assert manifest.example == {"input": RECORDS[:2]}
        assert len(manifest.version) == 32

    def test_made_manifest_has_the_example_of_rows(self, folders: Path) -> None:
        assert make_manifest(folders / "rows")["example"] == {"input": [[20.0, 0.0], [30.0, 1.0]]}

    def test_whole_numbers_are_not_asked_with_what_an_imputer_filled_in(self, folders: Path) -> None:
        scorer = load(folders / "imputed")
        task = attach_task(scorer)
        assert scorer.example is not None
        assert list(scorer.example) == ["age"]
        assert task.score([task.read(task.make_example())])

    def test_made_manifest_scores(self, folders: Path) -> None:
        manifest = make_manifest(folders / "table")
        task = attach_task(load(folders / "table"), example=manifest["example"])
        assert task.score([task.read(task.make_example())])[0]["predict"].tolist() == LABELS[:2]

    @pytest.mark.parametrize("content", [None, "{", '{"columns": ["a"], "data": [[1, 2]]}', "[]"])
    def test_example_that_cannot_be_read_is_left_out(self, folders: Path, tmp_path: Path, content: str | None) -> None:
        folder = copy(folders / "table", tmp_path / "copy")
        path = folder / "input_example.json"
        path.unlink() if content is None else path.write_text(content)
        assert "example" not in make_manifest(folder)

    def test_name_is_that_of_the_logged_artifact(self, folders: Path, tmp_path: Path) -> None:
        folder = copy(folders / "table", tmp_path / "copy", artifact_path="models/churn")
        assert make_manifest(folder)["name"] == "churn"

    @pytest.mark.parametrize(
        ("column", "spec"),
        [
            ({"type": "float"}, ("input", "FP32", (-1,))),
            ({"type": "integer", "name": "n"}, ("n", "INT32", (-1,))),
            ({"type": "boolean", "name": "b"}, ("b", "BOOL", (-1,))),
            (
                {"type": "tensor", "tensor-spec": {"dtype": "uint8", "shape": [-1, 28, 28]}},
                ("input", "UINT8", (-1, 28, 28)),
            ),
            ({"type": "tensor", "name": "t", "tensor-spec": {"dtype": "str", "shape": [-1]}}, ("t", "BYTES", (-1,))),
        ],
    )
    def test_types_of_inputs_are_translated(self, tmp_path: Path, column: dict[str, Any], spec: Any) -> None:
        signature = derive_signature(read_mlmodel(write(tmp_path, signature={"inputs": json.dumps([column])})))
        assert signature is not None
        found = signature.inputs[0]
        assert (found.name, found.datatype, found.shape) == spec

    @pytest.mark.parametrize(
        ("column", "nullable"),
        [
            ({"type": "string", "name": "s", "required": False}, True),
            ({"type": "string", "name": "s", "required": True}, False),
            ({"type": "string", "name": "s"}, False),
            ({"type": "double", "name": "d", "required": False}, False),
        ],
    )
    def test_text_that_is_not_required_may_be_missing(
        self, tmp_path: Path, column: dict[str, Any], nullable: bool
    ) -> None:
        signature = derive_signature(read_mlmodel(write(tmp_path, signature={"inputs": json.dumps([column])})))
        assert signature is not None
        assert signature.inputs[0].nullable is nullable

    @pytest.mark.parametrize(
        "column",
        [
            {"type": "datetime", "name": "when"},
            {"type": "array", "name": "when", "items": {"type": "double"}},
            {"type": {"nested": "thing"}, "name": "when"},
            {"type": "tensor", "name": "when", "tensor-spec": {"dtype": "complex128", "shape": [-1]}},
            {"type": "tensor", "name": "when", "tensor-spec": {"dtype": "nonsense", "shape": [-1]}},
            {"type": "tensor", "name": "when", "tensor-spec": {"dtype": "f4: a, b", "shape": [-1]}},
            {"type": "tensor", "name": "when", "tensor-spec": {"dtype": "(2,f4", "shape": [-1]}},
            {"type": "tensor", "name": "when", "tensor-spec": {"dtype": "2147483648f4", "shape": [-1]}},
        ],
    )
    def test_type_that_cannot_be_served_is_refused_with_the_inputs_name(
        self, tmp_path: Path, column: dict[str, Any]
    ) -> None:
        with pytest.raises(ManifestInvalidError, match="the input 'when' is of the type"):
            derive_signature(read_mlmodel(write(tmp_path, signature={"inputs": json.dumps([column])})))

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("flavors: [", "is not YAML"),
            ("- a", "MLmodel: "),
            ("name: x", "MLmodel: flavors"),
            ("flavors: {}\nsignature: {inputs: '{'}", r"MLmodel: signature\.inputs"),
        ],
    )
    def test_broken_file_is_refused(self, tmp_path: Path, text: str, message: str) -> None:
        (tmp_path / "MLmodel").write_text(text)
        with pytest.raises(ManifestInvalidError, match=message):
            load(tmp_path)

    def test_folder_without_the_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestInvalidError, match="There is no MLmodel"):
            load(tmp_path)

    def test_file_instead_of_the_folder_is_refused(self, folders: Path) -> None:
        with pytest.raises(ManifestInvalidError, match="must name the folder"):
            load(folders / "table" / "MLmodel")

    def test_signature_of_the_manifest_wins(self, folders: Path) -> None:
        signature = Signature.model_validate(make_signature({"x": ("FP64", [-1, 2])}))
        scorer = MlflowScorer()
        scorer.load(ModelSource(folders / "rows", folders, {}, signature=signature))
        assert scorer.signature == signature


def write(folder: Path, **fields: Any) -> Path:
    """Write an MLmodel file of these fields."""
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {}, **fields}))
    return folder


def test_a_folder_as_mlflow_saved_it_is_served_without_a_manifest(folders: Path, make_settings: Any) -> None:
    digest = compute_digest(folders / "table")
    slot = ModelSlot()
    model = load_model(make_settings((folders / "table").as_uri(), model_digest=digest), slot, Batcher(1))
    assert (model.format, model.manifest.task) == ("mlflow", "prediction")
    assert ask(model.task, RECORDS) == LABELS
    with pytest.raises(DigestRequiredError):
        load_model(make_settings((folders / "table").as_uri()), slot, Batcher(1))
