"""A thousand malformed and malicious objects: refused by the API server with the field's name, or told by the operator, which lives on."""

import functools
import itertools
import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import httpx
import pytest

from crd_schemas import loosened
from hostile_specs import CLASS_SPECS, HOSTILE, MODEL_SPECS, build_hostile
from kubectl import Kubectl, Manifest
from operator_processes import OperatorProcess, wait_until_quiet
from raw_api import GROUP_PATH
from scoring_models import ScoringModels
from scoring_operator.api import HardwareClass, ScoringModel
from scoring_operator.errors import ModelProblem
from waiting import wait_for

STRICT, OLDER, CLASSES = 600, 300, 100
SEED = 20261126
TOLD_SECONDS = 120.0
"""For hundreds of models at once; one alone is told of within a second."""

NAMED_FIELD = re.compile(r"\b(spec|metadata)\b")
HEALTHY = ("first", "second", "third")


def build_model(name: str, spec: Any) -> Manifest:
    """Return a ScoringModel with any spec."""
    return {"apiVersion": "scoring.dev/v1beta1", "kind": "ScoringModel", "metadata": {"name": name}, "spec": spec}


def build_class(name: str, spec: Any) -> Manifest:
    """Return a HardwareClass with any spec."""
    metadata = {"name": name, "labels": {"test": "hostile"}}
    return {"apiVersion": "scoring.dev/v1beta1", "kind": "HardwareClass", "metadata": metadata, "spec": spec}


def list_models(api: httpx.Client, models: ScoringModels) -> dict[str, Manifest]:
    """Return the ScoringModels of the namespace by name."""
    items = api.get(find_path(models)).raise_for_status().json()["items"]
    return {body["metadata"]["name"]: body for body in items}


def find_path(models: ScoringModels) -> str:
    """Return the path of the namespace's ScoringModels."""
    return f"{GROUP_PATH}/namespaces/{models.kubectl.namespace}/scoringmodels"


def find_untold(bodies: dict[str, Manifest]) -> list[str]:
    """Return the models whose newest generation the status does not tell of."""
    return [name for name, body in bodies.items() if read_ready(body) is None]


def read_ready(body: Manifest) -> Manifest | None:
    """Return the Ready condition of the newest generation."""
    status = body.get("status") or {}
    found = status.get("conditions")
    conditions = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    if status.get("observedGeneration") != body["metadata"]["generation"]:
        return None
    return next((one for one in conditions if one.get("type") == "Ready" and "message" in one), None)


def list_told(models: ScoringModels) -> dict[str, str]:
    """Return what warnings say of models: for one to which the CRD's rules cannot be applied, the API server takes no status."""
    events = models.kubectl.list("events", "--field-selector=involvedObject.kind=ScoringModel,type=Warning")
    return {event["involvedObject"]["name"]: f"{event['reason']}: {event['message']}" for event in events}


def wait_until_told(api: httpx.Client, models: ScoringModels) -> dict[str, Manifest]:
    """Wait until the status of each model, or an event, tells of it; return the models."""
    untold: set[str] = set()

    def look() -> bool:
        untold.clear()
        untold.update(set(find_untold(list_models(api, models))) - list_told(models).keys())
        return not untold

    try:
        wait_for(look, "each model to be told of", TOLD_SECONDS)
    except AssertionError as error:
        raise AssertionError(f"{error}; untold: {sorted(untold)}") from None
    return list_models(api, models)


def find_problem(parse: Callable[[Manifest], object], body: Manifest) -> ModelProblem | None:
    """Return what the operator has to say about an object as the API server gives it."""
    try:
        parse(body)
    except ModelProblem as problem:
        return problem
    return None


@pytest.fixture
def healthy(models: ScoringModels, operator: OperatorProcess) -> Iterator[ScoringModels]:
    """Yield the models of a namespace in which three are served, which can still be changed at the end."""
    for name in HEALTHY:
        models.apply(name)
    for name in HEALTHY:
        models.wait_until_ready(name)
    yield models
    assert operator.is_healthy()
    for name in HEALTHY:
        models.wait_until_ready(name)
        models.apply(name, replicas=2, hardwareClass=None)
    for name in HEALTHY:
        models.wait_until_ready(name)
        wait_for(functools.partial(has_two_replicas, models, name), f"two replicas of {name}")


def has_two_replicas(models: ScoringModels, name: str) -> bool:
    """Tell whether a model says that it has two replicas, both ready."""
    return bool(models.find_ready(name).get("message") == "2 of 2 replicas ready.")


def test_object_is_refused_with_its_field_or_told_of(api: httpx.Client, healthy: ScoringModels) -> None:
    random = Random(SEED)
    answers = [
        api.post(
            find_path(healthy),
            params={"fieldValidation": "Strict"},
            json=build_model(f"hostile-{number}", build_hostile(random, MODEL_SPECS)),
        )
        for number in range(STRICT)
    ]
    refused = [answer.json()["message"] for answer in answers if answer.is_client_error]
    taken = [answer for answer in answers if answer.is_success]
    assert len(refused) + len(taken) == STRICT
    assert [message for message in refused if not NAMED_FIELD.search(message)] == []
    assert refused
    assert taken
    bodies = wait_until_told(api, healthy)
    assert len(bodies) == len(taken) + len(HEALTHY)


def test_objects_of_a_looser_schema_are_told_of_with_their_field(
    kubectl: Kubectl, api: httpx.Client, healthy: ScoringModels, operator: OperatorProcess
) -> None:
    random = Random(SEED + 1)
    refused: list[str] = []
    operator.stop()
    with loosened(kubectl, "scoringmodels"):
        for number in range(OLDER):
            body = build_model(f"hostile-{number}", build_hostile(random, MODEL_SPECS))
            answer = api.post(find_path(healthy), json=body)
            refused += [answer.text] if answer.is_error else []
            if number % 3 == 0 and answer.is_success:
                break_status(api, healthy, body, random)
    operator.start()
    assert len(refused) < OLDER / 10, refused
    bodies = wait_until_told(api, healthy)
    for name, body in bodies.items():
        ready = read_ready(body)
        said = f"{ready['reason']}: {ready['message']}" if ready else list_told(healthy)[name]
        if find_problem(ScoringModel.parse, body) is not None:
            assert said.startswith(f"InvalidSpec: ScoringModel {name}: spec")
            assert ready is None or ready["status"] == "False"
    bad = next(name for name, body in bodies.items() if find_problem(ScoringModel.parse, body) and is_mendable(body))
    api.put(f"{find_path(healthy)}/{bad}", json={**bodies[bad], "spec": healthy.build()["spec"]}).raise_for_status()
    healthy.wait_until_ready(bad)
    wait_until_quiet(kubectl)


def is_mendable(body: Manifest) -> bool:
    """Tell whether the API server lets anybody change the spec: not beside a condition that is no object, which it refuses each time anew."""
    conditions = body.get("status", {}).get("conditions", [])
    return isinstance(conditions, list) and all(isinstance(condition, dict) for condition in conditions)


def break_status(api: httpx.Client, models: ScoringModels, body: Manifest, random: Random) -> None:
    """Write a status that no operator would write."""
    values = [random.choice(HOSTILE) for _ in range(4)]
    conditions = [{"type": "Ready", "status": values[0]}, values[1]]
    status = {"conditions": random.choice([conditions, values[2]]), "hardwareClass": values[3], "observedGeneration": 1}
    path = f"{find_path(models)}/{body['metadata']['name']}/status"
    api.patch(
        path, json={"status": status}, headers={"Content-Type": "application/merge-patch+json"}
    ).raise_for_status()


@pytest.fixture
def hostile_classes(kubectl: Kubectl) -> Iterator[None]:
    """Take away what the test has made of classes."""
    yield
    kubectl("delete", "hardwareclass", "-l", "test=hostile", "--wait=false")


def test_hostile_classes_harm_only_the_models_that_name_them(
    kubectl: Kubectl, api: httpx.Client, healthy: ScoringModels, hostile_classes: None, operator: OperatorProcess
) -> None:
    del hostile_classes
    random = Random(SEED + 2)
    path = f"{GROUP_PATH}/hardwareclasses"
    specs = itertools.chain(
        [None, "yes", {"default": "yes"}, {"default": True, "resources": 1}],
        iter(lambda: build_hostile(random, CLASS_SPECS), object()),
    )
    with loosened(kubectl, "hardwareclasses"):
        for number, spec in zip(range(CLASSES), specs, strict=False):
            hostile = {**spec, "default": False} if isinstance(spec, dict) and spec.get("default") is True else spec
            api.post(path, json=build_class(f"hostile-{number}", hostile)).raise_for_status()
            healthy.kubectl.apply(
                healthy.build(f"of-{number}", hardwareClass=f"hostile-{number}")
            ) if number % 5 == 0 else None
    bodies = wait_until_told(api, healthy)
    classes = {body["metadata"]["name"]: body for body in api.get(path).raise_for_status().json()["items"]}
    for name, body in bodies.items():
        hardware = classes.get(str(body["spec"].get("hardwareClass")))
        ready = read_ready(body) or {}
        if hardware is not None and find_problem(HardwareClass.parse, hardware) is not None:
            assert (name, ready["status"], ready["reason"]) == (name, "False", "InvalidSpec")
            assert ready["message"].startswith(f"HardwareClass {hardware['metadata']['name']}: spec")
    assert operator.is_healthy()
    wait_for(
        lambda: "capacity" in (kubectl.get("hardwareclass", "cpu").get("status") or {}),
        "the capacity of the good class",
    )
