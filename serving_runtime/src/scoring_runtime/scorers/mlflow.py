"""Scorer of MLflow model folders. MLflow itself is imported only for what needs it.

A folder with the flavour `sklearn` is a scikit-learn model with a description: the scorer of scikit-learn loads and scores it,
in a fraction of the time that MLflow's checks of each request take. All others go through `mlflow.pyfunc`.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from scoring_runtime.artifacts.uris import MLMODEL
from scoring_runtime.errors import FormatNotInstalledError, ManifestInvalidError, ModelInvalidError
from scoring_runtime.mlmodel import MlModel, derive_signature, read_mlmodel
from scoring_runtime.scorers import ModelSource, Scorer, read_options
from scoring_runtime.tensors import Signature, Tensors, TensorSpec

OUTPUT = "predictions"
"""Name of an output without a name, as in the answers of MLflow's own server."""

# Unless told otherwise when it is imported, MLflow reports its use over the network.
_NO_TELEMETRY = "MLFLOW_DISABLE_TELEMETRY"
_SKLEARN_LOADER = "mlflow.sklearn"


class MlflowScorer:
    """An MLflow model. The manifest's options are those of the format sklearn for its flavour; others have none."""

    model: Any = None
    signature: Signature | None = None
    example: Mapping[str, Any] | None = None

    def __init__(self) -> None:
        self.report: Mapping[str, Any] = {}
        self._inner: Scorer = PyfuncScorer()

    def load(self, source: ModelSource) -> None:
        """Load the folder that holds MLmodel. Raises ManifestInvalidError, ModelInvalidError or FormatNotInstalledError."""
        if not source.path.is_dir():
            raise ManifestInvalidError(f"manifest.json: model must name the folder that holds {MLMODEL}.")
        description = read_mlmodel(source.path)
        pyfunc = description.flavors.get("python_function", {})
        source = replace(source, signature=source.signature or derive_signature(description))
        # Code of the artifact's own is put on Python's path by MLflow.
        if (
            pyfunc.get("loader_module") == _SKLEARN_LOADER
            and "sklearn" in description.flavors
            and not pyfunc.get("code")
        ):
            from scoring_runtime.scorers.sklearn import SklearnScorer  # noqa: PLC0415  # only for this flavour

            self._inner, source = SklearnScorer(), _find_estimator(source, description)
        self._inner.load(source)
        self.model = self._inner.model
        self.signature = source.signature or self._inner.signature
        self.example = _find_example(self._inner, self.signature)
        self.report = {"flavor": pyfunc.get("loader_module", ""), **self._inner.report}

    def score(self, batch: Tensors) -> Tensors:
        """Return the model's outputs by their names."""
        outputs: Tensors = self._inner.score(batch)
        return outputs


def _find_example(inner: Scorer, signature: Signature | None) -> dict[str, Any]:
    """Return the values that the estimator knows, of those inputs that the folder describes as the estimator does."""
    known = getattr(inner, "example", None) or {}
    derived = {spec.name: spec for spec in inner.signature.inputs} if inner.signature else {}
    given = signature.inputs if signature else ()
    same = [spec.name for spec in given if spec.name in derived and _is_alike(spec, derived[spec.name])]
    return {name: known[name] for name in same if name in known}


def _is_alike(spec: TensorSpec, other: TensorSpec) -> bool:
    return spec.datatype == other.datatype and len(spec.shape) == len(other.shape)


class PyfuncScorer:
    """A model of any flavour, through the interface that all of them have."""

    model: Any = None
    signature: Signature | None = None

    def __init__(self) -> None:
        self.report: Mapping[str, Any] = {}
        self._takes_table = True
        self._input_name: str | None = None

    def load(self, source: ModelSource) -> None:
        """Load the folder. Raises FormatNotInstalledError for a flavour whose package is not in the image."""
        read_options(source, _NoOptions)
        os.environ.setdefault(_NO_TELEMETRY, "true")
        self.model = _load_pyfunc(source.path)
        specs = source.signature.inputs if source.signature else ()
        self._takes_table = all(len(spec.shape) == 1 for spec in specs)
        self._input_name = specs[0].name if len(specs) == 1 else None

    def score(self, batch: Tensors) -> Tensors:
        """Return the outputs: a table's columns, or `predictions`."""
        return _name_outputs(self.model.predict(self._make_input(batch)))

    def _make_input(self, batch: Tensors) -> Any:  # noqa: ANN401  # a DataFrame, an array or a dict of arrays
        if self._takes_table:
            import pandas as pd  # noqa: PLC0415  # MLflow has imported it by now

            return pd.DataFrame(dict(batch))
        return dict(batch) if self._input_name is None else batch[self._input_name]


class _NoOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _load_pyfunc(folder: Path) -> Any:  # noqa: ANN401  # MLflow's model
    try:
        from mlflow.pyfunc import load_model  # noqa: PLC0415  # takes seconds, and not every flavour needs it

        return load_model(str(folder))
    except ModuleNotFoundError as error:
        raise FormatNotInstalledError(
            f"The MLflow model needs the package {error.name!r}, which is not in this image: name in spec.runtime.image an "
            "image built on the runtime's that has what the model's requirements.txt lists."
        ) from error


def _find_estimator(source: ModelSource, description: MlModel) -> ModelSource:
    """Return the source of the scikit-learn model in the folder, asked as MLflow would ask it."""
    flavour = description.flavors["sklearn"]
    name = PurePosixPath(str(flavour.get("pickled_model", "")))
    if name.is_absolute() or ".." in name.parts or not (source.path / name).is_file():
        raise ModelInvalidError(f"{MLMODEL}: flavors.sklearn.pickled_model names no file of the folder: {str(name)!r}.")
    method = description.flavors["python_function"].get("predict_fn") or "predict"
    # The digest of a folder with MLmodel was verified, so that its list of types is as good as ours.
    trusted = tuple(flavour.get("skops_trusted_types") or ())
    return replace(
        source,
        path=source.path / name,
        options=source.options or {"method": method},
        trusted_types=(*source.trusted_types, *trusted),
    )


def _name_outputs(answer: Any) -> dict[str, Any]:  # noqa: ANN401  # each flavour answers in its own way
    if hasattr(answer, "columns"):
        return {str(name): answer[name].to_numpy() for name in answer.columns}
    if isinstance(answer, Mapping):
        return {str(name): np.asarray(values) for name, values in answer.items()}
    return {OUTPUT: np.asarray(answer)}
