"""Scorer of scikit-learn models: .skops of trusted types, or .joblib and .pkl whose digest was verified.

Any estimator or pipeline; the manifest's options say which of its methods answer. What it takes is told by `estimators`.
"""

import pickle
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import joblib
import numpy as np
import skops.io
import structlog
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse
from sklearn.exceptions import InconsistentVersionWarning

from scoring_runtime.errors import InvalidInputError, ManifestInvalidError, ModelInvalidError, TooManyItemsError
from scoring_runtime.scorers import ModelSource, read_options
from scoring_runtime.scorers.estimators import choose_input, derive_inputs
from scoring_runtime.scorers.trusted_types import TRUSTED_TYPES
from scoring_runtime.tensors import Signature, Tensor, Tensors

# In the order in which a model is asked when the manifest names no method.
_USUAL_METHODS = ("predict", "transform", "predict_proba", "score_samples")
_MAX_DENSE_VALUES = 2**24
"""Of a sparse answer, such as that of a text vectorizer, written out: 128 MiB of 64-bit floats."""

_UNKNOWN_CATEGORIES = re.compile(r"Found unknown categories (\[.*\]) in column", re.DOTALL)
_SHOWN_CHARACTERS = 200

_logger = structlog.stdlib.get_logger(__name__)

Method = Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")]


class SklearnOptions(BaseModel):
    """Options of the format: the methods that answer. Each gives an output of its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method | None = None
    methods: tuple[Method, ...] = ()


class SklearnScorer:
    """A fitted estimator or pipeline."""

    model: Any = None
    signature: Signature | None = None
    example: Mapping[str, Any] | None = None

    def __init__(self) -> None:
        self.report: Mapping[str, Any] = {}
        self._methods: dict[str, Callable[[Any], Any]] = {}
        self._make_input: Callable[[Tensors], Any] = dict

    def load(self, source: ModelSource) -> None:
        """Load the estimator. Raises ModelInvalidError, naming the types that are not trusted or the methods it lacks."""
        self.model, saved_with = _read_model(source)
        names = _choose_methods(self.model, read_options(source, SklearnOptions))
        self._methods = {name: getattr(self.model, name) for name in names}
        derived = derive_inputs(self.model)
        self.signature, self.example = (None, None) if derived is None else derived
        signature = source.signature or self.signature
        if signature is not None:
            self._make_input = choose_input(self.model, signature.inputs)
        self.report = {"methods": names, **({"savedWith": saved_with} if saved_with else {})}

    def score(self, batch: Tensors) -> Tensors:
        """Return an output for each method, named after it.

        Raises TooManyItemsError for a sparse answer too large, InvalidInputError for categories that an encoder does not know.
        """
        inputs = self._make_input(batch)
        outputs: dict[str, Tensor] = {}
        # Threads of joblib cost more than they bring for a request, and n_jobs=-1 counts the node's CPUs, not the pod's.
        with joblib.parallel_config(backend="sequential"), _explain_categories():
            for name, method in self._methods.items():
                outputs.update(_name_outputs(name, method(inputs)))
        return outputs


@contextmanager
def _explain_categories() -> Iterator[None]:
    """Turn an encoder's refusal of what it has not seen, which is no fault of the model's, into InvalidInputError."""
    try:
        yield
    except ValueError as error:
        unknown = _UNKNOWN_CATEGORIES.search(str(error))
        if unknown is None:
            raise
        raise InvalidInputError(
            f"The model was not trained with the categories {unknown[1][:_SHOWN_CHARACTERS]}: send those that it knows."
        ) from error


def _choose_methods(model: object, options: SklearnOptions) -> tuple[str, ...]:
    if options.method and options.methods:
        raise ManifestInvalidError("manifest.json: options has both method and methods: keep one.")
    wanted = options.methods or ((options.method,) if options.method else ())
    missing = [name for name in wanted if not callable(getattr(model, name, None))]
    if missing:
        raise ManifestInvalidError(f"manifest.json: options: the model is a {_name_kind(model)} without {missing[0]}.")
    if wanted:
        return wanted
    usual = [name for name in _USUAL_METHODS if callable(getattr(model, name, None))]
    if not usual:
        raise ModelInvalidError(
            f"The model is a {_name_kind(model)} without {' or '.join(_USUAL_METHODS)}: save a fitted estimator or pipeline, "
            "or name the method in options.method."
        )
    return (usual[0],)


def _name_outputs(name: str, answer: Any) -> dict[str, Tensor]:  # noqa: ANN401  # scikit-learn has no types
    """Return the answer by name; a list of arrays (of a model of several targets) with numbers: predict_proba_0 …"""
    if isinstance(answer, list) and all(isinstance(part, np.ndarray) for part in answer):
        return {f"{name}_{place}": part for place, part in enumerate(answer)}
    if isinstance(answer, sparse.sparray | sparse.spmatrix):
        return {name: _write_out(answer)}
    return {name: np.asarray(answer)}


def _write_out(answer: Any) -> Tensor:  # noqa: ANN401  # a sparse array or matrix
    rows, columns = answer.shape
    if rows * columns > _MAX_DENSE_VALUES:
        raise TooManyItemsError(
            f"The answer would hold {rows} x {columns} values; at most {_MAX_DENSE_VALUES} are written: send fewer items at once."
        )
    dense: Tensor = answer.toarray()
    return dense


def _read_model(source: ModelSource) -> tuple[object, str | None]:
    """Return the model, and the scikit-learn that saved it when that is another than the installed one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InconsistentVersionWarning)
        model = _choose_reader(source.path)(source)
    for warning in caught:
        if isinstance(warning.message, InconsistentVersionWarning):
            saved, installed = warning.message.original_sklearn_version, warning.message.current_sklearn_version
            _logger.warning("model saved with another scikit-learn", saved=saved, installed=installed)
            return model, f"scikit-learn {saved}"
    return model, None


def _choose_reader(path: Path) -> Callable[[ModelSource], object]:
    readers: dict[str, Callable[[ModelSource], object]] = {
        ".skops": _read_skops,
        ".joblib": lambda source: joblib.load(source.path),
        ".pkl": _read_pickle,
        ".pickle": _read_pickle,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ModelInvalidError(f"{path.name} is no scikit-learn model file: name it {', '.join(readers)}.")
    return reader


def _read_skops(source: ModelSource) -> object:
    trusted = {*TRUSTED_TYPES, *source.trusted_types}
    untrusted = sorted(set(skops.io.get_untrusted_types(file=source.path)) - trusted)
    if untrusted:
        names = ", ".join(untrusted[:5])
        raise ModelInvalidError(
            f"{source.path.name} holds types that are not trusted: {names}. Save the model without them, or as .joblib and "
            "give the artifact's digest."
        )
    return skops.io.load(source.path, trusted=sorted(trusted))


def _read_pickle(source: ModelSource) -> object:
    # Only reached when the digest of the artifact was given and verified (artifacts.require_digest).
    with source.path.open("rb") as file:
        return pickle.load(file)  # noqa: S301


def _name_kind(model: object) -> str:
    return type(model).__name__
