"""Whatever stands in a ScoringModel or HardwareClass, a reconcile ends in children or in a ModelProblem, and in a status that can be written."""

import datetime
from collections.abc import Callable
from typing import Any

import orjson
from hypothesis import example, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from hostile_specs import CLASS_SPECS, HOSTILE, MODEL_SPECS, build_hostile
from scoring_operator.advice import find_class_room
from scoring_operator.api import Manifest, ScoringModel, ScoringModelStatus
from scoring_operator.errors import ModelProblem
from scoring_operator.hardware import choose_hardware
from scoring_operator.kinds import HARDWARE_CLASS, SCORING_MODEL
from scoring_operator.packing import pack, unpack
from scoring_operator.render import render_children
from scoring_operator.settings import Settings
from scoring_operator.status import Observation, build_status

Build = Callable[..., Manifest]

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
NODE = {
    "metadata": {"name": "fake", "labels": {"kubernetes.io/hostname": "fake", "pool": "gpu", "generation": "eight"}},
    "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "10"}},
}
USED = {"fake": {"cpu": 1.0}}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    | st.sampled_from(HOSTILE),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
randoms = st.randoms(use_true_random=False)
model_specs = randoms.map(lambda random: build_hostile(random, MODEL_SPECS)) | json_values
class_specs = randoms.map(lambda random: build_hostile(random, CLASS_SPECS)) | json_values


def reconcile(body: Manifest, classes: list[Manifest], runtime: Settings) -> Manifest:
    """Go through the pure steps of a reconcile as it does, from what the store keeps; return the status."""
    kept = unpack(pack(SCORING_MODEL, body))
    hardware, problem = None, None
    try:
        model = ScoringModel.parse(kept)
        hardware = choose_hardware(model, [unpack(pack(HARDWARE_CLASS, one)) for one in classes])
        orjson.dumps(list(render_children(model, hardware, runtime).values()))
    except ModelProblem as found:
        problem = found
    return build_status(Observation(kept, hardware_class=hardware.name if hardware else None, problem=problem), NOW)


def read_message(status: Manifest) -> str:
    """Return the message of Ready in a status, which must be one that the CRD takes."""
    ScoringModelStatus.model_validate_json(orjson.dumps(status))
    message: str = status["conditions"][0]["message"]
    return message


@limits(max_examples=300)
@given(spec=model_specs)
@example(spec={"model": {"uri": "https://host:port/x.tar"}, "network": {}})
@example(spec={"model": {"uri": "https://[::1/x.tar"}, "network": {}})
def test_every_model_gets_children_or_a_problem(
    build_body: Build, build_class_body: Build, settings: Settings, spec: Any
) -> None:
    body = {**build_body(), "spec": spec}
    assert read_message(reconcile(body, [build_class_body(default=True)], settings))


def test_field_of_any_length_is_told_in_a_message_that_the_api_takes(
    build_body: Build, build_class_body: Build, settings: Settings
) -> None:
    body = build_body(**{"replicas": -1, "y" * 50_000: 1, **{f"unknown{number}": 1 for number in range(2000)}})
    message = read_message(reconcile(body, [build_class_body(default=True)], settings))
    assert message.startswith("ScoringModel faq: spec.replicas: ")
    assert len(message) <= 4096


@limits(max_examples=300)
@given(spec=class_specs)
def test_every_class_gives_hardware_or_a_problem(
    build_body: Build, build_class_body: Build, settings: Settings, spec: Any
) -> None:
    hostile = {**build_class_body("hostile"), "spec": spec}
    assert read_message(reconcile(build_body(hardwareClass="hostile"), [hostile], settings))


@limits(max_examples=300)
@given(spec=class_specs)
@example(spec=None)
@example(spec={"default": "yes"})
def test_model_of_a_good_class_is_untouched_by_a_class_that_is_none(
    build_body: Build, build_class_body: Build, settings: Settings, spec: Any
) -> None:
    classes = [build_class_body(default=True), {**build_class_body("hostile"), "spec": spec}]
    named = reconcile(build_body(hardwareClass="cpu"), classes, settings)
    assert named["conditions"][0]["status"] == "Unknown"
    if not (isinstance(spec, dict) and spec.get("default") is True):
        assert reconcile(build_body(), classes, settings) == named


@limits(max_examples=300)
@given(spec=class_specs)
@example(spec={"resources": {"requests": {"cpu": "9" * 400}}})
def test_room_is_told_of_every_class_or_nothing(build_class_body: Build, spec: Any) -> None:
    hostile = unpack(pack(HARDWARE_CLASS, {**build_class_body("hostile"), "spec": spec}))
    room = find_class_room(hostile, [NODE], USED)
    assert room is None or (room.capacity >= 0 and room.nodes >= 0)


@limits(max_examples=300)
@given(status=json_values | st.fixed_dictionaries({"conditions": json_values, "hardwareClass": json_values}))
def test_status_that_somebody_else_has_broken_is_written_anew(
    build_body: Build, build_class_body: Build, settings: Settings, status: Any
) -> None:
    body = {**build_body(), "status": status}
    assert read_message(reconcile(body, [build_class_body(default=True)], settings))
