"""What holds of the rendered children whatever a model and its class ask for."""

import copy
import math
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scoring_operator.api import HardwareClass, Manifest, ScoringModel
from scoring_operator.differences import find_differences
from scoring_operator.kinds import DEPLOYMENT, HASH_ANNOTATION
from scoring_operator.render import render_children
from scoring_operator.render.metadata import add_hash
from scoring_operator.settings import Settings

Build = Callable[..., Any]
Spec = dict[str, Any]

quantities = st.one_of(st.integers(0, 64), st.integers(1, 64000).map(lambda amount: f"{amount}m"))


def build_resources(*names: str) -> st.SearchStrategy[Spec]:
    limits = st.dictionaries(st.sampled_from(names), quantities)
    return st.fixed_dictionaries({"requests": st.fixed_dictionaries({"cpu": quantities})}, optional={"limits": limits})


own_resources = build_resources("cpu", "memory", "ephemeral-storage")
class_resources = build_resources("cpu", "memory", "ephemeral-storage", "nvidia.com/gpu")
variables = st.lists(
    st.fixed_dictionaries({"name": st.from_regex(r"\A[A-Z_][A-Z0-9_]{0,8}\Z"), "value": st.text(max_size=8)}),
    max_size=4,
    unique_by=lambda variable: variable["name"],
)
specs = st.fixed_dictionaries(
    {
        "model": st.fixed_dictionaries(
            {"uri": st.sampled_from(["pvc://models/faq", "file:///m", "https://host/m.tar", "s3://models/faq"])},
            optional={"format": st.sampled_from(["sklearn", "torch"]), "digest": st.just("sha256:" + "0" * 64)},
        )
    },
    optional={
        "replicas": st.integers(0, 50),
        "autoscaling": st.fixed_dictionaries({"maxReplicas": st.integers(1, 50)}),
        "endpoint": st.sampled_from(
            [
                {"type": "ClusterIP"},
                {"type": "LoadBalancer"},
                {"host": "faq.example.com", "path": "/faq", "tls": {}},
                {"host": "faq.example.com", "gateway": {"name": "public", "sectionName": "https"}},
            ]
        ),
        "runtime": st.fixed_dictionaries(
            {}, optional={"env": variables, "resources": own_resources, "image": st.just("x")}
        ),
    },
)
classes = st.fixed_dictionaries(
    {"resources": class_resources},
    optional={
        "accelerator": st.fixed_dictionaries({"count": st.integers(1, 8)}),
        "nodeSelector": st.dictionaries(st.sampled_from(["pool", "zone"]), st.sampled_from(["a", "b"])),
        "tolerations": st.lists(st.just({"operator": "Exists"}), max_size=2),
        "runtimeClassName": st.just("nvidia"),
        "priorityClassName": st.just("serving"),
        "image": st.just("y"),
    },
)


def render_deployment_of(spec: Spec, hardware: Spec, builders: tuple[Build, Build], settings: Settings) -> Manifest:
    build_model, build_class = builders
    deployment = render_children(build_model(**spec), build_class(**hardware), settings)[DEPLOYMENT]
    assert deployment is not None
    return deployment


@given(spec=specs, hardware=classes)
def test_pods_meet_the_restricted_standard_whatever_is_overridden(
    build_model: Callable[..., ScoringModel],
    build_class: Callable[..., HardwareClass],
    settings: Settings,
    spec: Spec,
    hardware: Spec,
) -> None:
    pod = render_deployment_of(spec, hardware, (build_model, build_class), settings)["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "ephemeralContainers"}
    assert pod["automountServiceAccountToken"] is False
    assert all(volume.keys() <= {"name", "emptyDir", "persistentVolumeClaim", "secret"} for volume in pod["volumes"])
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert all("hostPort" not in port for port in container.get("ports", ()))


@given(spec=specs, hardware=classes)
def test_deployment_names_replicas_only_when_not_autoscaled(
    build_model: Callable[..., ScoringModel],
    build_class: Callable[..., HardwareClass],
    settings: Settings,
    spec: Spec,
    hardware: Spec,
) -> None:
    deployment = render_deployment_of(spec, hardware, (build_model, build_class), settings)
    assert ("replicas" in deployment["spec"]) == ("autoscaling" not in spec)


@given(spec=specs, hardware=classes)
def test_accelerator_is_in_requests_and_limits_alike_and_cannot_be_overridden(
    build_model: Callable[..., ScoringModel],
    build_class: Callable[..., HardwareClass],
    settings: Settings,
    spec: Spec,
    hardware: Spec,
) -> None:
    deployment = render_deployment_of(spec, hardware, (build_model, build_class), settings)
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    if "accelerator" in hardware:
        count = str(hardware["accelerator"]["count"])
        assert container["resources"]["requests"]["nvidia.com/gpu"] == count
        assert container["resources"]["limits"]["nvidia.com/gpu"] == count


@given(spec=specs, hardware=classes, milli_cpu=st.integers(1, 256000))
def test_threads_are_never_fewer_than_the_cpu_limit_nor_one_more(
    build_model: Callable[..., ScoringModel],
    build_class: Callable[..., HardwareClass],
    settings: Settings,
    spec: Spec,
    hardware: Spec,
    milli_cpu: int,
) -> None:
    limited = {**spec, "runtime": {"resources": {"limits": {"cpu": f"{milli_cpu}m"}}}}
    deployment = render_deployment_of(limited, hardware, (build_model, build_class), settings)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {item["name"]: item["value"] for item in container["env"]}
    assert environment["SCORING_THREADS"] == str(math.ceil(milli_cpu / 1000))


@given(spec=specs, hardware=classes)
def test_children_are_owned_named_and_labelled_alike(
    build_model: Callable[..., ScoringModel],
    build_class: Callable[..., HardwareClass],
    settings: Settings,
    spec: Spec,
    hardware: Spec,
) -> None:
    model = build_model(**spec)
    bodies = [body for body in render_children(model, build_class(**hardware), settings).values() if body is not None]
    assert {"Deployment", "Service"} <= {body["kind"] for body in bodies}
    assert ("autoscaling" in spec) == any(body["kind"] == "HorizontalPodAutoscaler" for body in bodies)
    for body in bodies:
        metadata = body["metadata"]
        assert (metadata["name"], metadata["namespace"]) == ("faq", "team")
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "scoring-operator"
        assert metadata["labels"]["scoring.dev/model"] == "faq"
        (owner,) = metadata["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == (model.metadata.uid, True)


@given(spec=specs, hardware=classes)
def test_rendering_the_same_twice_gives_the_same(
    build_model: Callable[..., ScoringModel],
    build_class: Callable[..., HardwareClass],
    settings: Settings,
    spec: Spec,
    hardware: Spec,
) -> None:
    first = render_deployment_of(spec, hardware, (build_model, build_class), settings)
    second = render_deployment_of(copy.deepcopy(spec), copy.deepcopy(hardware), (build_model, build_class), settings)
    assert first == second
    assert find_differences(first, second) == ()


@given(spec=specs, hardware=classes, data=st.data())
def test_hash_changes_when_a_field_is_no_longer_rendered(
    build_model: Callable[..., ScoringModel],
    build_class: Callable[..., HardwareClass],
    settings: Settings,
    spec: Spec,
    hardware: Spec,
    data: st.DataObject,
) -> None:
    """Otherwise nothing would be written: the live object has all that is still rendered, and the old field beside it."""
    live = render_deployment_of(spec, hardware, (build_model, build_class), settings)
    less = copy.deepcopy(live)
    del less["metadata"]["annotations"]
    container = less["spec"]["template"]["spec"]["containers"][0]
    del container[data.draw(st.sampled_from(sorted(container)))]
    wished = add_hash(less)
    assert live["metadata"]["annotations"][HASH_ANNOTATION] != wished["metadata"]["annotations"][HASH_ANNOTATION]
    assert [path for path, _ in find_differences(live, wished)] == [f".metadata.annotations.{HASH_ANNOTATION}"]
