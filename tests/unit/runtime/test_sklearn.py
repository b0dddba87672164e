"""The format sklearn: estimators of every kind, saved, loaded and asked; what they tell of their inputs; what is refused."""

import os
import pickle
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, StackingClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from runtime_tasks import ask, attach_task, make_signature
from scoring_runtime.errors import ManifestInvalidError, ModelInvalidError, TooManyItemsError
from scoring_runtime.scorers import ModelSource
from scoring_runtime.scorers.column_types import NUMBER, find_column_types
from scoring_runtime.scorers.sklearn import SklearnScorer
from scoring_runtime.tensors import Signature

RANDOM = np.random.default_rng(7)
ROWS = RANDOM.normal(size=(60, 3))
CLASSES = (ROWS[:, 0] + ROWS[:, 1] > 0).astype(int)
NAMES = np.where(CLASSES == 1, "yes", "no")
TEXTS = [f"{'good fine' if label else 'bad poor'} thing {number % 7}" for number, label in enumerate(CLASSES)]
TABLE = pd.DataFrame(
    {
        "age": ROWS[:, 0],
        "city": np.where(ROWS[:, 2] > 0, "Oslo", "Bergen"),
        "income": ROWS[:, 1],
        "member": ROWS[:, 2] > 1,
        "remark": TEXTS,
    }
)


def save(model: Any, path: Path) -> Path:
    if path.suffix == ".skops":
        skops.io.dump(model, path)
    elif path.suffix == ".joblib":
        joblib.dump(model, path)
    else:
        path.write_bytes(pickle.dumps(model))
    return path


def load(model: Any, folder: Path, name: str = "model.skops", **options: Any) -> SklearnScorer:
    scorer = SklearnScorer()
    scorer.load(ModelSource(save(model, folder / name), folder, options))
    return scorer


def make_table_model(classifier: Any = None) -> Any:
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "income"]),
            ("kinds", OneHotEncoder(handle_unknown="ignore"), ["city", "member"]),
            ("texts", TfidfVectorizer(), "remark"),
        ]
    )
    return make_pipeline(columns, classifier or LogisticRegression()).fit(TABLE, NAMES)


def describe(scorer: SklearnScorer) -> list[tuple[str, str, tuple[int, ...]]]:
    assert scorer.signature is not None
    return [(spec.name, spec.datatype, spec.shape) for spec in scorer.signature.inputs]


@pytest.mark.parametrize("name", ["model.skops", "model.joblib", "model.pkl", "model.PICKLE"])
def test_each_kind_of_file_is_loaded(tmp_path: Path, name: str) -> None:
    model = LogisticRegression().fit(ROWS, CLASSES)
    task = attach_task(load(model, tmp_path, name))
    assert ask(task, ROWS[:5].tolist()).tolist() == model.predict(ROWS[:5]).tolist()


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(5),
        HistGradientBoostingClassifier(max_iter=5),
        KNeighborsClassifier(),
        CalibratedClassifierCV(LogisticRegression()),
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}),
        StackingClassifier([("a", RandomForestClassifier(3)), ("b", LogisticRegression())]),
        GaussianProcessRegressor(optimizer=None),
        TransformedTargetRegressor(LinearRegression()),
        KMeans(2, n_init=1),
    ],
    ids=lambda model: type(model).__name__,
)
def test_estimators_of_many_kinds_are_trusted_and_answer_as_before(tmp_path: Path, model: BaseEstimator) -> None:
    scorer = load(model.fit(ROWS, CLASSES), tmp_path)
    assert describe(scorer) == [("input", "FP64", (-1, 3))]
    assert ask(attach_task(scorer), ROWS[:5].tolist()).tolist() == model.predict(ROWS[:5]).tolist()


class TestMethods:
    def test_probabilities_are_answered_when_asked_for(self, tmp_path: Path) -> None:
        model = LogisticRegression().fit(ROWS, NAMES)
        answer = ask(attach_task(load(model, tmp_path, method="predict_proba")), ROWS[:2].tolist())
        np.testing.assert_allclose(answer, model.predict_proba(ROWS[:2]))

    def test_several_methods_give_an_output_each(self, tmp_path: Path) -> None:
        model = LogisticRegression().fit(ROWS, NAMES)
        answer = ask(attach_task(load(model, tmp_path, methods=["predict", "predict_proba"])), ROWS[:2].tolist())
        assert answer["predict"] == model.predict(ROWS[:2]).tolist()
        assert answer["predict_proba"].shape == (2, 2)

    def test_transformer_transforms(self, tmp_path: Path) -> None:
        model = PCA(2).fit(ROWS)
        np.testing.assert_allclose(
            ask(attach_task(load(model, tmp_path)), ROWS[:2].tolist()), model.transform(ROWS[:2])
        )

    def test_sparse_answer_is_written_out(self, tmp_path: Path) -> None:
        model = CountVectorizer().fit(TEXTS)
        answer = ask(attach_task(load(model, tmp_path)), TEXTS[:2])
        assert answer.tolist() == model.transform(TEXTS[:2]).toarray().tolist()

    def test_sparse_answer_too_large_is_refused(self, tmp_path: Path) -> None:
        task = attach_given(HashingVectorizer(), tmp_path, make_signature({"text": ("BYTES", [-1])}))
        with pytest.raises(TooManyItemsError, match="17 x 1048576"):
            ask(task, ["a text"] * 17)

    def test_answer_for_several_targets_is_numbered(self, tmp_path: Path) -> None:
        model = MultiOutputClassifier(LogisticRegression()).fit(ROWS, np.column_stack([CLASSES, 1 - CLASSES]))
        task = attach_task(load(model, tmp_path, methods=["predict", "predict_proba"]))
        assert {name: tensor.shape for name, tensor in ask(task, ROWS[:3].tolist()).items()} == {
            "predict": (3, 2),
            "predict_proba_0": (3, 2),
            "predict_proba_1": (3, 2),
        }

    def test_method_that_the_model_lacks_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestInvalidError, match="LinearRegression without predict_proba"):
            load(LinearRegression().fit(ROWS, CLASSES), tmp_path, method="predict_proba")

    @pytest.mark.parametrize(
        "options", [{"method": "a", "methods": ["b"]}, {"method": "__class__"}, {"trustedTypes": ["x"]}]
    )
    def test_wrong_options_are_refused(self, tmp_path: Path, options: dict[str, Any]) -> None:
        with pytest.raises(ManifestInvalidError, match="options"):
            load(LinearRegression().fit(ROWS, CLASSES), tmp_path, **options)

    def test_object_that_is_no_estimator_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ModelInvalidError, match="is a dict without predict"):
            load({"weights": [1, 2]}, tmp_path)


class TestInputs:
    @pytest.mark.parametrize(
        "model",
        [
            make_pipeline(TfidfVectorizer(), MultinomialNB()),
            make_pipeline(make_union(TfidfVectorizer(), CountVectorizer()), LogisticRegression()),
            GridSearchCV(make_pipeline(TfidfVectorizer(), LogisticRegression()), {"logisticregression__C": [0.1, 1.0]}),
            CalibratedClassifierCV(make_pipeline(TfidfVectorizer(), LogisticRegression())),
        ],
        ids=["pipeline", "union", "search", "calibrated"],
    )
    def test_model_of_texts_takes_texts(self, tmp_path: Path, model: Any) -> None:
        scorer = load(model.fit(TEXTS, NAMES), tmp_path)
        assert describe(scorer) == [("input", "BYTES", (-1,))]
        assert ask(attach_task(scorer), ["a good fine thing", "bad poor"]) == ["yes", "no"]

    @pytest.mark.parametrize(
        "make", [make_table_model, lambda: GridSearchCV(make_table_model(), {"logisticregression__C": [1.0]})]
    )
    def test_model_of_a_table_takes_its_columns_in_their_types(self, tmp_path: Path, make: Callable[[], Any]) -> None:
        model = make().fit(TABLE, NAMES)
        scorer = load(model, tmp_path)
        assert describe(scorer) == [
            ("age", "FP64", (-1,)),
            ("city", "BYTES", (-1,)),
            ("income", "FP64", (-1,)),
            ("member", "BOOL", (-1,)),
            ("remark", "BYTES", (-1,)),
        ]
        rows = TABLE.head(8)
        assert ask(attach_task(scorer), rows.to_dict("records")) == model.predict(rows).tolist()

    @pytest.mark.parametrize(
        ("numbers", "kinds"),
        [
            (["age", "income"], ["city"]),
            ([0, 2], [1]),
            (slice(0, 1), slice("city", "city")),
            ([True, False, True], [False, True, False]),
            (slice("income", None), [-2]),
        ],
        ids=["names", "places", "slices", "masks", "open-slice"],
    )
    def test_columns_may_be_chosen_in_every_way_that_scikit_learn_takes(
        self, tmp_path: Path, numbers: Any, kinds: Any
    ) -> None:
        columns = ColumnTransformer([("numbers", StandardScaler(), numbers), ("kinds", OneHotEncoder(), kinds)])
        table = TABLE[["age", "city", "income"]]
        scorer = load(make_pipeline(columns, LogisticRegression()).fit(table, NAMES), tmp_path)
        assert describe(scorer) == [("age", "FP64", (-1,)), ("city", "BYTES", (-1,)), ("income", "FP64", (-1,))]

    def test_column_of_texts_may_be_chosen_by_its_place(self, tmp_path: Path) -> None:
        columns = ColumnTransformer([("texts", TfidfVectorizer(), 1), ("numbers", StandardScaler(), ["age"])])
        model = make_pipeline(columns, LogisticRegression()).fit(TABLE[["age", "remark"]], NAMES)
        assert describe(load(model, tmp_path)) == [("age", "FP64", (-1,)), ("remark", "BYTES", (-1,))]

    @pytest.mark.parametrize(
        "part",
        [
            make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()),
            make_pipeline(FunctionTransformer(), OrdinalEncoder()),
            make_pipeline("passthrough", OneHotEncoder()),
            ColumnTransformer([("inner", OneHotEncoder(), ["city"])]),
            SimpleImputer(strategy="most_frequent"),
        ],
        ids=["after-an-imputer", "after-a-function", "after-nothing", "nested", "imputer-alone"],
    )
    def test_column_of_texts_is_known_behind_other_steps(self, tmp_path: Path, part: Any) -> None:
        columns = ColumnTransformer([("city", part, ["city"]), ("age", "passthrough", ["age"])])
        scorer = load(columns.fit(TABLE[["age", "city"]]), tmp_path)
        assert describe(scorer) == [("age", "FP64", (-1,)), ("city", "BYTES", (-1,))]

    def test_every_member_of_a_union_tells_of_its_columns(self, tmp_path: Path) -> None:
        members = [
            ColumnTransformer([("a", StandardScaler(), ["age"])]),
            ColumnTransformer([("c", OneHotEncoder(), ["city"])]),
        ]
        model = make_pipeline(make_union(*members), LogisticRegression()).fit(TABLE[["age", "city"]], NAMES)
        assert describe(load(model, tmp_path)) == [("age", "FP64", (-1,)), ("city", "BYTES", (-1,))]

    def test_categories_of_gradient_boosting_are_texts(self, tmp_path: Path) -> None:
        table = TABLE[["age", "city"]].astype({"city": "category"})
        model = HistGradientBoostingClassifier(max_iter=3, categorical_features="from_dtype").fit(table, NAMES)
        scorer = load(model, tmp_path)
        assert describe(scorer) == [("age", "FP64", (-1,)), ("city", "BYTES", (-1,))]
        rows = table.head(8)
        assert ask(attach_task(scorer), rows.to_dict("records")) == model.predict(rows).tolist()

    def test_categories_of_lightgbm_are_texts_and_numbers(self, tmp_path: Path) -> None:
        table = TABLE[["age", "city"]].assign(floor=np.arange(60) % 3).astype({"city": "category", "floor": "category"})
        model = lightgbm.LGBMClassifier(n_estimators=5, min_child_samples=2, verbosity=-1).fit(table, NAMES)
        scorer = load(model, tmp_path)
        assert describe(scorer) == [("age", "FP64", (-1,)), ("city", "BYTES", (-1,)), ("floor", "FP64", (-1,))]
        rows = table.iloc[5:13]
        assert ask(attach_task(scorer), rows.to_dict("records")) == np.asarray(model.predict(rows)).tolist()

    def test_encoder_alone_tells_of_its_columns(self, tmp_path: Path) -> None:
        model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(TABLE[["city", "member"]], NAMES)
        assert describe(load(model, tmp_path)) == [("city", "BYTES", (-1,)), ("member", "BOOL", (-1,))]

    @pytest.mark.parametrize(
        "table",
        [
            TABLE[["age", "city", "member"]],
            TABLE[["city"]].to_numpy(dtype=object),
            np.array([[3], [5]] * 30),
            pd.DataFrame({"kind": [None, "a"] * 30}),
        ],
        ids=["frame", "texts", "numbers", "missing"],
    )
    def test_example_that_is_made_up_is_one_that_the_encoder_knows(self, tmp_path: Path, table: Any) -> None:
        scorer = load(make_pipeline(OneHotEncoder(), LogisticRegression()).fit(table, NAMES), tmp_path)
        task = attach_task(scorer)
        assert task.score([task.read(task.make_example())])[0]["predict"].tolist()[0] in {"yes", "no"}

    def test_example_is_what_the_encoder_knows_and_not_what_the_imputer_fills_in(self, tmp_path: Path) -> None:
        imputer = SimpleImputer(strategy="constant", fill_value="missing")
        model = make_pipeline(imputer, OneHotEncoder(), LogisticRegression()).fit(TABLE[["city"]], NAMES)
        scorer = load(model, tmp_path)
        assert scorer.example == {"city": ["Bergen"]}

    def test_what_a_function_makes_of_a_column_says_nothing_of_the_column(self, tmp_path: Path) -> None:
        bands = make_pipeline(FunctionTransformer(np.signbit), FunctionTransformer(np.array_str), OneHotEncoder())
        bands.steps[2][1].fit(np.array([["a"], ["b"]], dtype=object))
        columns = ColumnTransformer([("age", "passthrough", ["age"])]).fit(TABLE[["age"]])
        columns.transformers_ = [("age", bands, ["age"])]
        assert find_column_types(columns, ["age"]) == {}

    @pytest.mark.parametrize(
        "attributes",
        [
            {"steps": 5},
            {"steps": ["clean", "fit"]},
            {"categories_": 3},
            {"statistics_": {"mean": "a text"}},
            {"transformers_": [1]},
            {"categories_": [[10**400]]},
        ],
    )
    def test_attributes_of_somebodys_own_estimator_are_no_parts(self, attributes: dict[str, Any]) -> None:
        model = LinearRegression().fit(ROWS[:, :1], CLASSES)
        vars(model).update(attributes)
        assert find_column_types(model, [0]).get(0, NUMBER).datatype == "FP64"

    @pytest.mark.parametrize("encoder", [OneHotEncoder(handle_unknown="ignore"), OneHotEncoder()])
    def test_none_reaches_a_model_that_learned_none(self, tmp_path: Path, encoder: Any) -> None:
        table = pd.DataFrame({"city": pd.Series(["Oslo", None] * 4, dtype=object)})
        assert encoder.fit(table).categories_[0].tolist() == ["Oslo", None]
        model = make_pipeline(encoder, LogisticRegression()).fit(table, ["known", "unknown"] * 4)
        scorer = load(model, tmp_path)
        assert ask(attach_task(scorer), [{"city": None}, {"city": "Oslo"}]) == ["unknown", "known"]

    def test_rows_of_texts_are_known_by_their_encoder(self, tmp_path: Path) -> None:
        model = OrdinalEncoder().fit(np.array([["a", "x"], ["b", "y"]], dtype=object))
        scorer = load(model, tmp_path)
        assert describe(scorer) == [("input", "BYTES", (-1, 2))]
        assert ask(attach_task(scorer), [["b", "x"]]).tolist() == [[1.0, 0.0]]

    @pytest.mark.parametrize("table", [ROWS[:, :1], pd.DataFrame({"a": ROWS[:, 0]})], ids=["array", "frame"])
    def test_model_of_one_column_takes_a_signature_of_plain_numbers(self, tmp_path: Path, table: Any) -> None:
        model = LinearRegression().fit(table, CLASSES)
        task = attach_given(model, tmp_path, make_signature({"x": ("FP64", [-1])}))
        np.testing.assert_allclose(ask(task, ROWS[:3, 0].tolist()), model.predict(table[:3]))

    def test_manifests_signature_of_one_column_of_several_is_refused(self, tmp_path: Path) -> None:
        model = LogisticRegression().fit(pd.DataFrame(ROWS, columns=["a", "b", "c"]), CLASSES)
        with pytest.raises(ManifestInvalidError, match="lacks the input 'b'"):
            attach_given(model, tmp_path, make_signature({"a": ("FP64", [-1])}))

    def test_missing_number_reaches_the_imputer(self, tmp_path: Path) -> None:
        row = {"age": None, "city": "Oslo", "income": 1.0, "member": True, "remark": "good"}
        assert ask(attach_task(load(make_table_model(), tmp_path)), [row])[0] in {"yes", "no"}

    def test_named_columns_may_come_as_rows_without_a_warning(self, tmp_path: Path) -> None:
        table = pd.DataFrame(ROWS, columns=["a", "b", "c"])
        model = LogisticRegression().fit(table, CLASSES)
        scorer = load(model, tmp_path)
        assert [name for name, _, _ in describe(scorer)] == ["a", "b", "c"]
        assert ask(attach_task(scorer), ROWS[:4].tolist()).tolist() == model.predict(table[:4]).tolist()

    def test_signature_of_the_manifest_may_join_named_columns(self, tmp_path: Path) -> None:
        model = LogisticRegression().fit(pd.DataFrame(ROWS, columns=["a", "b", "c"]), CLASSES)
        signature = make_signature({"x": ("FP32", [-1, 3])})
        answer = ask(attach_given(model, tmp_path, signature), ROWS[:4].tolist())
        assert answer.tolist() == model.predict(pd.DataFrame(ROWS[:4], columns=["a", "b", "c"])).tolist()

    def test_signature_of_the_manifest_may_part_a_row(self, tmp_path: Path) -> None:
        model = LogisticRegression().fit(ROWS, CLASSES)
        signature = make_signature({name: ("FP64", [-1]) for name in "abc"})
        rows = [dict(zip("abc", row, strict=True)) for row in ROWS[:4].tolist()]
        assert ask(attach_given(model, tmp_path, signature), rows).tolist() == model.predict(ROWS[:4]).tolist()

    def test_rows_of_texts_are_an_array(self, tmp_path: Path) -> None:
        model = OrdinalEncoder().fit(np.array([["a", "x"], ["b", "y"]], dtype=object))
        task = attach_given(model, tmp_path, make_signature({"x": ("BYTES", [-1, 2])}))
        assert ask(task, [["b", "x"]]).tolist() == [[1.0, 0.0]]

    def test_manifests_signature_without_a_fitted_column_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestInvalidError, match="lacks the input 'member'"):
            attach_given(
                make_table_model(),
                tmp_path,
                make_signature({n: ("BYTES", [-1]) for n in ("age", "city", "income", "remark")}),
            )

    def test_manifests_signature_of_several_matrices_is_refused(self, tmp_path: Path) -> None:
        signature = make_signature({"a": ("FP64", [-1, 2]), "b": ("FP64", [-1, 1])})
        with pytest.raises(ManifestInvalidError, match="each is a column: a has more axes"):
            attach_given(LogisticRegression().fit(ROWS, CLASSES), tmp_path, signature)

    def test_estimator_that_tells_nothing_needs_a_signature(self, tmp_path: Path) -> None:
        scorer = load(FunctionTransformer(), tmp_path)
        assert scorer.signature is None
        with pytest.raises(ManifestInvalidError, match="signature is missing"):
            attach_task(scorer)


class TestFiles:
    def test_skops_file_with_another_type_is_refused_with_its_name(self, tmp_path: Path) -> None:
        model = make_pipeline(FunctionTransformer(np.linalg.norm), StandardScaler())
        with pytest.raises(ModelInvalidError, match=r"not trusted: numpy.*joblib"):
            load(model, tmp_path)

    def test_part_of_a_function_that_is_not_trusted_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ModelInvalidError, match=r"not trusted: \w+\.system"):
            load(FunctionTransformer(partial(os.system, "true")), tmp_path)

    def test_types_that_the_task_trusts_are_loaded(self, tmp_path: Path) -> None:
        path = save(FunctionTransformer(np.linalg.norm), tmp_path / "model.skops")
        scorer = SklearnScorer()
        scorer.load(ModelSource(path, tmp_path, {}, trusted_types=("numpy.linalg.norm",)))
        assert scorer.report["methods"] == ("transform",)

    def test_file_of_another_kind_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").touch()
        with pytest.raises(ModelInvalidError, match=r"model\.onnx is no scikit-learn model file"):
            SklearnScorer().load(ModelSource(tmp_path / "model.onnx", tmp_path, {}))

    @pytest.mark.parametrize("name", ["model.joblib", "model.skops"])
    def test_model_of_another_scikit_learn_is_loaded_and_said_so(self, tmp_path: Path, name: str) -> None:
        model = LogisticRegression().fit(ROWS, CLASSES)
        state = model.__getstate__()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sklearn.base.__version__", "1.2.3")
            path = save(model, tmp_path / name)
        assert state["_sklearn_version"] != "1.2.3"
        scorer = SklearnScorer()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scorer.load(ModelSource(path, tmp_path, {}))
        assert scorer.report["savedWith"] == "scikit-learn 1.2.3"

    def test_model_is_asked_on_one_thread_whatever_it_was_saved_with(self, tmp_path: Path) -> None:
        model = RandomForestClassifier(4, n_jobs=2).fit(ROWS, CLASSES)
        scorer = load(model, tmp_path)
        seen: list[int] = []

        def predict_proba(*_: Any, **__: Any) -> Any:
            seen.append(joblib.effective_n_jobs(-1))
            return np.full((1, 2), 0.5)

        # The forest asks each of its trees, on a thread of theirs if it may.
        scorer.model.estimators_[0].predict_proba = predict_proba
        scorer.score({"input": ROWS[:1]})
        assert seen == [1]


def attach_given(model: Any, folder: Path, signature: dict[str, Any]) -> Any:
    """Return a task whose manifest has this signature, as the scorer gets it too."""
    scorer = SklearnScorer()
    path = save(model, folder / "model.joblib")
    scorer.load(ModelSource(path, folder, {}, signature=Signature.model_validate(signature)))
    return attach_task(scorer, signature=signature)
