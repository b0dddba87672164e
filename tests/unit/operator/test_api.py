from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from scoring_operator.api import HardwareClass, Manifest, ScoringModel
from scoring_operator.errors import ModelProblem


def test_model_has_the_documented_defaults_when_only_the_uri_is_given(build_model: Callable[..., ScoringModel]) -> None:
    spec = build_model(model={"uri": "file:///m"}).spec
    assert spec.replicas == 1
    assert spec.endpoint.type == "ClusterIP"
    assert spec.runtime.env == ()
    assert (spec.model.digest, spec.model.format) == (None, None)
    assert (spec.hardware_class, spec.autoscaling, spec.runtime.image, spec.runtime.resources) == (None,) * 4


def test_autoscaling_has_the_documented_defaults_when_only_the_maximum_is_given(
    build_model: Callable[..., ScoringModel],
) -> None:
    autoscaling = build_model(autoscaling={"maxReplicas": 5}).spec.autoscaling
    assert autoscaling is not None
    assert autoscaling.min_replicas == 1
    assert [(metric.type, metric.target) for metric in autoscaling.metrics] == [("cpu", 70)]


def test_class_has_the_documented_defaults_when_only_resources_are_given(
    build_class: Callable[..., HardwareClass],
) -> None:
    spec = build_class(resources={"limits": {"cpu": 1}}, accelerator={}).spec
    assert not spec.default
    assert spec.tolerations == ()
    assert spec.accelerator is not None
    assert (spec.accelerator.resource, spec.accelerator.count) == ("nvidia.com/gpu", 1)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"replica": 2}, "spec.replica"),
        ({"replicas": -1}, "spec.replicas"),
        ({"replicas": 10001}, "spec.replicas"),
        ({"replicas": "two"}, "spec.replicas"),
        ({"replicas": None}, "spec.replicas"),
        ({"model": {}}, "spec.model.uri"),
        ({"model": None}, "spec.model"),
        ({"model": {"uri": ["file:///m"]}}, "spec.model.uri"),
        ({"model": {"uri": "x" * 2049}}, "spec.model.uri"),
        ({"model": {"uri": "file:///m", "format": "caffe"}}, "spec.model.format"),
        ({"hardwareClass": "GPU class"}, "spec.hardwareClass"),
        ({"autoscaling": {}}, "spec.autoscaling.maxReplicas"),
        ({"autoscaling": {"maxReplicas": 2, "metrics": []}}, "spec.autoscaling.metrics"),
        (
            {"autoscaling": {"maxReplicas": 2, "metrics": [{"type": "disk", "target": 1}]}},
            "spec.autoscaling.metrics.0.type",
        ),
        ({"endpoint": {"type": "ExternalName"}}, "spec.endpoint.type"),
        ({"endpoint": {"host": ""}}, "spec.endpoint.host"),
        ({"endpoint": {"host": "a.example.com", "path": ""}}, "spec.endpoint.path"),
        ({"endpoint": {"host": "a.example.com", "gateway": {}}}, "spec.endpoint.gateway.name"),
        ({"endpoint": {"host": "a.example.com", "tls": {"issuer": {}}}}, "spec.endpoint.tls.issuer.name"),
        ({"endpoint": {"host": "a.example.com", "tls": {"secretName": "A B"}}}, "spec.endpoint.tls.secretName"),
        ({"endpoint": {"host": "a.example.com", "ingressAnnotations": {"a": 1}}}, "spec.endpoint.ingressAnnotations.a"),
        ({"runtime": {"image": ""}}, "spec.runtime.image"),
        ({"runtime": {"env": [{"name": "1ST"}]}}, "spec.runtime.env.0.name"),
        ({"runtime": {"env": [{"name": "A", "value": 1}]}}, "spec.runtime.env.0.value"),
        ({"runtime": {"env": [{"name": f"A{n}"} for n in range(65)]}}, "spec.runtime.env"),
        ({"runtime": {"resources": {"limits": {"cpu": 0.5}}}}, "spec.runtime.resources.limits.cpu"),
    ],
)
def test_parse_names_the_field_when_it_is_wrong(
    build_model: Callable[..., ScoringModel], spec: dict[str, Any], field: str
) -> None:
    with pytest.raises(ModelProblem) as refused:
        build_model(**spec)
    assert refused.value.reason == "InvalidSpec"
    assert refused.value.message.startswith(f"ScoringModel faq: {field}")
    assert refused.value.stalled


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"resources": None}, "spec.resources"),
        ({"accelerator": {"resource": "gpu"}}, "spec.accelerator.resource"),
        ({"accelerator": {"count": 0}}, "spec.accelerator.count"),
        ({"tolerations": [{"effect": "Never"}]}, "spec.tolerations.0.effect"),
        ({"nodeSelector": {"pool": "x" * 64}}, "spec.nodeSelector.pool"),
        ({"threads": 0}, "spec.threads"),
    ],
)
def test_parse_names_the_class_and_the_field_when_a_class_is_wrong(
    build_class: Callable[..., HardwareClass], spec: dict[str, Any], field: str
) -> None:
    with pytest.raises(ModelProblem, match="InvalidSpec: HardwareClass cpu: ") as refused:
        build_class(**spec)
    assert field in refused.value.message


@pytest.mark.parametrize(
    ("toleration", "message"),
    [
        ({}, "a toleration without a key needs operator Exists"),
        ({"key": "", "value": "a"}, "a toleration without a key needs operator Exists"),
        ({"effect": "NoSchedule"}, "a toleration without a key needs operator Exists"),
        ({"key": "gpu", "operator": "Exists", "value": "a"}, "value is for operator Equal"),
        ({"key": "gpu", "tolerationSeconds": 60}, "tolerationSeconds is for effect NoExecute"),
        (
            {"key": "gpu", "effect": "NoSchedule", "tolerationSeconds": 60},
            "tolerationSeconds is for effect NoExecute",
        ),
    ],
)
def test_toleration_is_refused_when_no_pod_could_have_it(
    build_class: Callable[..., HardwareClass], toleration: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelProblem, match=r"spec\.tolerations\.0: ") as refused:
        build_class(tolerations=[toleration])
    assert message in refused.value.message


@pytest.mark.parametrize(
    "toleration",
    [
        {"operator": "Exists"},
        {"key": "", "operator": "Exists", "value": ""},
        {"key": "gpu"},
        {"key": "gpu", "value": "a", "effect": "NoSchedule"},
        {"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0},
    ],
)
def test_toleration_may_be_any_that_a_pod_may_have(
    build_class: Callable[..., HardwareClass], toleration: dict[str, Any]
) -> None:
    (parsed,) = build_class(tolerations=[toleration]).spec.tolerations
    assert parsed.model_dump(by_alias=True, exclude_unset=True) == toleration


@pytest.mark.parametrize("name", ["a", "faq", "faq-1", "a" * 63])
def test_name_may_be_any_that_a_service_may_have(build_model: Callable[..., ScoringModel], name: str) -> None:
    assert build_model(name).name == name


@pytest.mark.parametrize("name", ["My_Model", "1st", "a.b", "faq-", "-faq", "FAQ", "", "a" * 64])
def test_name_is_refused_when_no_service_may_have_it(build_model: Callable[..., ScoringModel], name: str) -> None:
    with pytest.raises(ModelProblem, match=r"metadata\.name must be a valid Service name: at most 63 of"):
        build_model(name)


def test_parse_names_each_field_when_several_are_wrong(build_model: Callable[..., ScoringModel]) -> None:
    with pytest.raises(ModelProblem) as refused:
        build_model(replicas=-1, endpoint={"type": "ExternalName"})
    assert "spec.replicas: " in refused.value.message
    assert "; spec.endpoint.type: " in refused.value.message


@pytest.mark.parametrize(
    "spec",
    [
        {"runtime": {"env": [{"name": "TOKEN", "value": ["hunter2"]}]}},
        {"runtime": {"env": [{"name": "TOKEN", "secret": "hunter2"}]}},
        {"runtime": {"env": [{"name": "hunter2 with spaces"}]}},
        {"runtime": "hunter2"},
        {"model": {"uri": "https://me:hunter2@host/" + "x" * 2048}},
        {"model": {"uri": "file:///m", "format": "hunter2"}},
        {"runtime": {"resources": {"limits": {"cpu": {"hunter2": 1}}}}},
    ],
)
def test_parse_never_shows_a_value_when_it_is_wrong(
    build_model: Callable[..., ScoringModel], spec: dict[str, Any]
) -> None:
    with pytest.raises(ModelProblem) as refused:
        build_model(**spec)
    assert "hunter2" not in str(refused.value)


def test_parse_refuses_an_object_without_spec(build_body: Callable[..., Manifest]) -> None:
    body = build_body()
    del body["spec"]
    with pytest.raises(ModelProblem, match="ScoringModel faq: spec: Field required"):
        ScoringModel.parse(body)


def test_parse_ignores_metadata_and_status_that_the_operator_does_not_read(build_body: Callable[..., Manifest]) -> None:
    body = build_body(status={"anything": [1, 2]})
    body["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    assert ScoringModel.parse(body).metadata.generation == 3


def test_namespace_is_default_when_the_object_has_none(build_body: Callable[..., Manifest]) -> None:
    body = build_body()
    del body["metadata"]["namespace"]
    assert ScoringModel.parse(body).namespace == "default"


def test_api_objects_cannot_be_changed_once_parsed(build_model: Callable[..., ScoringModel]) -> None:
    model = build_model()
    for part, field in ((model, "spec"), (model.spec, "replicas"), (model.spec.model, "uri")):
        with pytest.raises(ValidationError, match="frozen"):
            part.__setattr__(field, None)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"model": {"uri": "ftp://x/y"}}, "spec.model.uri: Value error, uri must be file:///path"),
        ({"model": {"uri": "https://me:secret@host/m.tar"}}, "uri must not hold a user or a password"),
        ({"model": {"uri": "file:///m.pkl"}}, "spec.model: Value error, digest is required for this file"),
        (
            {"model": {"uri": "file:///m", "digest": "sha256:1"}},
            "spec.model.digest: Value error, digest must be sha256:",
        ),
        (
            {"autoscaling": {"minReplicas": 5, "maxReplicas": 2}},
            "spec.autoscaling: Value error, minReplicas must not be above maxReplicas",
        ),
        (
            {"runtime": {"env": [{"name": "SCORING_MODEL_URI", "value": "file:///other"}]}},
            "this variable follows from other fields",
        ),
        (
            {"runtime": {"serviceAccount": {}, "serviceAccountName": "faq"}},
            "serviceAccount and serviceAccountName exclude each other",
        ),
        ({"runtime": {"resources": {"limits": {"cpu": "lots"}}}}, "must be a quantity such as 2, 500m or 4Gi"),
        ({"runtime": {"resources": {"limits": {"cpu": "1e1000000"}}}}, "must be a quantity such as 2, 500m or 4Gi"),
        (
            {"runtime": {"resources": {"limits": {"nvidia.com/gpu": 1}}}},
            "such as GPUs, come from the hardware class only",
        ),
    ],
)
def test_parse_holds_the_rules_of_the_crd_when_the_api_server_did_not(
    build_model: Callable[..., ScoringModel], spec: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelProblem) as refused:
        build_model(**spec)
    assert refused.value.reason == "InvalidSpec"
    assert message in refused.value.message


@pytest.mark.parametrize("host", ["localhost", "a.b", "faq-1.team.example.com", "xn--bcher-kva.example"])
def test_host_may_be_any_dns_name(build_model: Callable[..., ScoringModel], host: str) -> None:
    assert build_model(endpoint={"host": host}).spec.endpoint.host == host


@pytest.mark.parametrize(
    "host",
    ["*.example.com", "Faq.example.com", "faq.example.com:443", "192.0.2.1", "-a.com", "a..b", "a.com.", "ä.com"],
)
def test_host_is_refused_when_it_is_no_dns_name(build_model: Callable[..., ScoringModel], host: str) -> None:
    with pytest.raises(ModelProblem, match="host must be a DNS name in lower case"):
        build_model(endpoint={"host": host})


@pytest.mark.parametrize("path", ["/", "/faq", "/team/faq-1", "/v3", "/scores", "/a.b/~c_d"])
def test_path_may_be_any_prefix(build_model: Callable[..., ScoringModel], path: str) -> None:
    assert build_model(endpoint={"host": "a.example.com", "path": path}).spec.endpoint.prefix == path


@pytest.mark.parametrize(
    "path", ["faq", "/faq/", "//", "/a//b", "/.", "/a/../b", "/.well-known", "/a%2fb", "/a?b", "/a b", "/a*"]
)
def test_path_is_refused_when_it_is_no_plain_prefix(build_model: Callable[..., ScoringModel], path: str) -> None:
    with pytest.raises(ModelProblem, match="path must be / or a prefix such as /faq"):
        build_model(endpoint={"host": "a.example.com", "path": path})


@pytest.mark.parametrize("path", ["/score", "/v2/models", "/metrics", "/openapi.json", "/readyz/x"])
def test_path_is_refused_when_the_runtime_answers_there_itself(
    build_model: Callable[..., ScoringModel], path: str
) -> None:
    with pytest.raises(ModelProblem, match="path must not begin with a path of the runtime itself"):
        build_model(endpoint={"host": "a.example.com", "path": path})


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ({"path": "/faq"}, "need a host: set spec.endpoint.host"),
        ({"tls": {}}, "need a host: set spec.endpoint.host"),
        ({"ingressClassName": "nginx"}, "need a host: set spec.endpoint.host"),
        ({"gateway": {"name": "public"}}, "need a host: set spec.endpoint.host"),
        (
            {"host": "a.b", "gateway": {"name": "public"}, "ingressClassName": "nginx"},
            "gateway excludes ingressClassName and ingressAnnotations",
        ),
        ({"host": "a.b", "gateway": {"name": "public"}, "tls": {}}, "tls is for an Ingress; behind a Gateway"),
        (
            {"host": "a.b", "gateway": {"name": "public", "redirectSectionName": "http"}},
            "redirectSectionName needs sectionName",
        ),
        (
            {"host": "a.b", "gateway": {"name": "public", "redirectSectionName": "http", "sectionName": "http"}},
            "redirectSectionName must name another listener than sectionName",
        ),
        (
            {"host": "a.b", "tls": {"issuer": {"name": "ca", "kind": "Vault"}}},
            "kind must be Issuer or ClusterIssuer in the group cert-manager.io",
        ),
    ],
)
def test_route_is_refused_when_it_contradicts_itself(
    build_model: Callable[..., ScoringModel], endpoint: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelProblem) as refused:
        build_model(endpoint=endpoint)
    assert message in refused.value.message
