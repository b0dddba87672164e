"""scikit-learn's estimators, and others with their interface: saved as .skops, which runs no code when it is loaded."""

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import joblib
import orjson
import skops.io

from scoring_cli.errors import InputInvalid
from scoring_cli.packaging import Hints, Packed
from scoring_cli.packaging.skops_files import dump_exactly
from scoring_runtime.errors import LoadError, RequestError, UnexpectedAnswerError
from scoring_runtime.expectation import check_answer
from scoring_runtime.manifest import Expectation, Manifest
from scoring_runtime.scorers import ModelSource
from scoring_runtime.scorers.sklearn import SklearnScorer
from scoring_runtime.scorers.trusted_types import TRUSTED_TYPES
from scoring_runtime.tasks import TaskLimits
from scoring_runtime.tasks.prediction import Prediction

SKOPS = "model.skops"
JOBLIB = "model.joblib"


class TrainedScorer(SklearnScorer):
    """The runtime's scorer, which asks the estimator in memory once that is put in place of the one that was loaded."""

    def replace_model(self, estimator: object) -> None:
        """Ask this estimator from now on, all else as it was loaded."""
        self._methods = {name: getattr(estimator, name) for name in self._methods}


def pack(estimator: Any, hints: Hints) -> Packed:  # noqa: ANN401  # any object with predict
    """Return a fitted estimator. Raises InputInvalid when the runtime would refuse a file of it, or answer otherwise."""
    methods = hints.methods or ("predict",)
    missing = [name for name in methods if not hasattr(estimator, name)]
    if missing:
        raise InputInvalid(
            f"--method: {type(estimator).__name__} has no {', '.join(missing)}: name methods that it has, once fitted."
        )
    name, content = (JOBLIB, _dump_joblib(estimator)) if hints.as_joblib else (SKOPS, _dump_skops(estimator))
    fields: dict[str, Any] = {"options": {"methods": list(methods)}}
    if hints.example is not None and not hints.is_answer_given:
        manifest = Manifest(
            name="m", version="1", task="prediction", model=name, signature=hints.signature,
            example={"input": hints.example}, **fields,
        )  # fmt: skip
        fields["expect"] = {"answer": answer(estimator, content, manifest)}
    return Packed("sklearn", name, {name: content}, fields)


def answer(estimator: object, content: bytes, manifest: Manifest) -> Any:  # noqa: ANN401  # JSON
    """Return what `/score` is to answer to the example: the estimator itself, asked as the runtime asks the one that it loads.

    Raises InputInvalid for an example that does not fit, and when the estimator that was saved as `content` answers otherwise.
    """
    kind = type(estimator).__name__
    try:
        scorer = _load(content, manifest)
        saved = _ask(scorer, manifest)
        scorer.replace_model(estimator)
        expected = _ask(scorer, manifest)
        check_answer(saved, Expectation(answer=expected))
    except InputInvalid:
        raise
    except UnexpectedAnswerError as error:
        raise InputInvalid(f"{kind} is another once it was saved and loaded: {error}") from error
    except LoadError as error:
        raise InputInvalid(f"The runtime would not serve the {kind}: {error}") from error
    except RequestError as error:
        raise InputInvalid(f"--example: {kind} does not take its `input`: {error}") from error
    except Exception as error:
        # The user's own estimator can fail in any way.
        raise InputInvalid(f"--example: {kind} fails at its `input`: {type(error).__name__}: {error}") from error
    return expected


def _load(content: bytes, manifest: Manifest) -> TrainedScorer:
    scorer = TrainedScorer()
    with TemporaryDirectory() as folder:
        path = Path(folder, manifest.model)
        path.write_bytes(content)
        try:
            scorer.load(ModelSource(path, path.parent, manifest.options, manifest.signature))
        except LoadError:
            raise
        except Exception as error:
            # The user's own classes can fail in any way.
            raise InputInvalid(
                f"{manifest.model} cannot be loaded once it was saved: {type(error).__name__}: {error}"
            ) from error
    return scorer


def _ask(scorer: TrainedScorer, manifest: Manifest) -> Any:  # noqa: ANN401  # JSON
    task = Prediction(manifest, Path(), TaskLimits(max_image_pixels=1, decoding_threads=1))
    task.attach(scorer)
    (outputs,) = task.score([task.read(task.make_example())])
    return orjson.loads(orjson.dumps(task.write(outputs), option=orjson.OPT_SERIALIZE_NUMPY))


def _dump_skops(estimator: object) -> bytes:
    saved = dump_exactly(estimator)
    unknown = sorted(set(skops.io.get_untrusted_types(data=saved)) - set(TRUSTED_TYPES))
    if unknown:
        raise InputInvalid(
            f"The runtime does not load these types from a .skops file: {', '.join(unknown)}. Take them out of the estimator, or save it "
            "by --joblib, which runs code when it is loaded; the model's image needs their packages then."
        )
    return saved


def _dump_joblib(estimator: object) -> bytes:
    target = io.BytesIO()
    joblib.dump(estimator, target)
    return target.getvalue()
