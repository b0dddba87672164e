"""Saves the parcels' pipeline of samples/tabular as MLflow does, and packs the folder as it is, with a manifest beside it."""

import os
from dataclasses import dataclass
from importlib.metadata import version as get_version
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from sklearn.pipeline import Pipeline

from samples.pinning import write_scoring_model
from samples.tabular.models import Trained
from scoring_cli.artifacts import write_artifact
from scoring_runtime.mlmodel import make_manifest

_TEMPLATE = Path(__file__).with_name("scoringmodel.yaml")
_REQUIRED = ("scikit-learn", "skops", "pandas")


@dataclass(frozen=True)
class Package:
    """What packaging wrote: the archive, its `sha256:<hex>` digest, and the ScoringModel with that digest."""

    archive: Path
    digest: str
    scoring_model: Path


def write_package(trained: Trained, version: str, folder: Path) -> Package:
    """Write the archive and the ScoringModel into `folder`, which is made when missing.

    MLflow writes time and a random name into MLmodel, so each archive has a digest of its own.
    """
    example = pd.DataFrame(trained.example)
    archive = folder / "parcels-mlflow.tar"
    with TemporaryDirectory() as temporary:
        saved = Path(temporary, "model")
        save_model(trained.pipeline, example, saved)
        manifest = {
            **make_manifest(saved),
            "name": trained.name,
            "version": version,
            "expect": {"answer": trained.pipeline.predict(example).tolist()},
        }
        digest = write_artifact(archive, manifest, {path.name: path for path in saved.iterdir()})
    return Package(archive, digest, write_scoring_model(_TEMPLATE, folder / _TEMPLATE.name, digest))


def save_model(pipeline: Pipeline, example: pd.DataFrame, folder: Path) -> None:
    """Save a fitted pipeline as an MLflow model with its signature and an example, as `log_model` does in a run."""
    # Before the import: MLflow reports its use over the network otherwise.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.models import infer_signature  # noqa: PLC0415  # see above
    from mlflow.sklearn import save_model as save  # noqa: PLC0415  # see above

    # Whole numbers as floats, for which MLflow has a way to say that one is missing.
    table = example.astype(dict.fromkeys(example.select_dtypes("integer").columns, float))
    save(
        pipeline,
        str(folder),
        signature=infer_signature(table, pipeline.predict(table)),
        input_example=table,
        # MLflow's default format, skops, asks what else than estimators may be in the file; the runtime reads this list too.
        skops_trusted_types=["numpy.dtype"],
        pip_requirements=[f"{name}=={get_version(name)}" for name in _REQUIRED],
    )
