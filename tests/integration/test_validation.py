"""What `kubectl apply` itself says about a ScoringModel or HardwareClass that cannot be right: no operator is needed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from documented_manifests import find_manifests
from hostile_specs import MODEL_SPECS, PUBLIC_KEY
from kubectl import Kubectl, KubectlError
from local_clusters import ROOT
from scoring_models import ScoringModels, open_namespace
from waiting import wait_for

SIGNATURE = {"publicKey": PUBLIC_KEY}
DIGEST = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def models(kubectl: Kubectl) -> Iterator[ScoringModels]:
    """Yield the ScoringModels of a namespace."""
    with open_namespace(kubectl, "validation") as models:
        yield models


def read_refusal(models: ScoringModels, spec: dict[str, Any], name: str = "faq") -> str:
    """Return what kubectl says when it applies a ScoringModel that must be refused."""
    with pytest.raises(KubectlError) as refused:
        models.apply(name, **spec)
    return str(refused.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"replica": 2}, 'unknown field "spec.replica"'),
        (
            {"model": {"uri": "file:///m", "format": "caffe"}},
            'spec.model.format: Unsupported value: "caffe": supported values: "sklearn", "torch", "tensorflow", "keras", "onnx", "mlflow", "python"',
        ),
        (
            {"replicas": -1},
            "spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0",
        ),
        (
            {"replicas": "two"},
            'spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"',
        ),
        ({"autoscaling": {"minReplicas": 3, "maxReplicas": 2}}, "minReplicas must not be above maxReplicas"),
        ({"autoscaling": {"minReplicas": 1}}, "spec.autoscaling.maxReplicas: Required value"),
        (
            {
                "autoscaling": {
                    "minReplicas": 0,
                    "maxReplicas": 2,
                    "metrics": [{"type": "requestsInFlight", "target": 4}, {"type": "cpu", "target": 70}],
                }
            },
            "spec.autoscaling: Invalid value: minReplicas 0 needs a metric of type prometheus or keda",
        ),
        (
            {"autoscaling": {"maxReplicas": 2, "metrics": [{"type": "pods", "name": "depth", "target": 0}]}},
            "spec.autoscaling.metrics[0]: Invalid value: target must be more than 0",
        ),
        (
            {"autoscaling": {"maxReplicas": 2, "metrics": [{"type": "requestsInFlight", "target": "0m"}]}},
            "spec.autoscaling.metrics[0]: Invalid value: target must be more than 0",
        ),
        (
            {"autoscaling": {"maxReplicas": 2, "behavior": {"scaleUp": {"policies": []}}}},
            "spec.autoscaling.behavior.scaleUp.policies in body should have at least 1 items",
        ),
        ({"model": {}}, "spec.model.uri: Required value"),
        (
            {"model": {"uri": "ftp://host/model.tar"}},
            'spec.model.uri: Invalid value: "ftp://host/model.tar": uri must be file:///path (inside the image), pvc://claim/path, ',
        ),
        ({"model": {"uri": "https://me:secret@host/model.tar"}}, "uri must not hold a user or a password"),
        ({"model": {"uri": "oci://me:secret@host/faq:1"}}, "uri must not hold a user or a password"),
        ({"model": {"uri": "oci://host/faq"}}, "oci://registry/repository:tag (or @sha256:digest)"),
        ({"model": {"uri": "s3://models/faq?versionId=1"}}, "uri must be file:///path (inside the image)"),
        ({"model": {"uri": "pvc://m/f", "credentials": {"secretName": "s"}}}, "credentials are for artifacts that are"),
        ({"model": {"uri": "s3://m/f", "credentials": {}}}, "credentials needs secretName, anonymous: true, or both"),
        (
            {"model": {"uri": "hf://t/f", "credentials": {"anonymous": True}}},
            "credentials.anonymous is for s3, gs and abfs",
        ),
        ({"model": {"uri": "oci://h/f:1", "endpoint": "https://h"}}, "endpoint is for s3, gs, abfs and hf"),
        ({"model": {"uri": "s3://m/f", "endpoint": "minio:9000"}}, "endpoint must be an address such as"),
        (
            {"model": {"uri": "s3://m/f", "endpoint": "http://minio"}},
            "an endpoint without TLS is for s3 only, and needs a",
        ),
        ({"model": {"uri": "s3://m/f", "sizeLimit": "0"}}, "sizeLimit must be more than 0"),
        ({"model": {"uri": "s3://m/f", "sizeLimit": "much"}}, "spec.model.sizeLimit in body should match"),
        ({"model": {"uri": "s3://m/f", "signature": {"publicKey": "MFkw"}}}, "publicKey must be PEM text"),
        ({"model": {"uri": "s3://m/f", "signature": {**SIGNATURE, "value": "n!"}}}, "value must be base64 text"),
        (
            {"model": {"uri": "s3://m/f", "signature": {**SIGNATURE, "value": "QQ==", "uri": "s3://m/s"}}},
            "uri and value exclude each other",
        ),
        ({"model": {"uri": "file:///m", "signature": SIGNATURE}}, "signature is not for file:// artifacts"),
        (
            {"model": {"uri": "s3://m/f", "signature": {**SIGNATURE, "uri": "s3://other/f.sig"}}},
            "signature.uri must have the scheme and the host, bucket or claim of uri",
        ),
        ({"model": {"uri": "pvc://models/../other/model.tar"}}, "uri must not hold .. as a path segment"),
        (
            {"model": {"uri": "file:///m.tar", "digest": "sha256:12"}},
            'spec.model.digest: Invalid value: "sha256:12": digest must be sha256: followed by 64 hexadecimal digits in lower case, as sha256sum prints them',
        ),
        (
            {"model": {"uri": "pvc://models/model.pkl"}},
            "digest is required for this file: a pickle, joblib, .pt or .keras file can run code when it is loaded; "
            "set digest to sha256:<what sha256sum prints>",
        ),
        (
            {"model": {"uri": "pvc://models/model", "format": "tensorflow"}},
            "digest is required for the formats tensorflow, keras and mlflow: their models can run code when they are loaded; "
            "set digest to sha256:<what sha256sum prints>",
        ),
        (
            {"endpoint": {"apiKeys": {}}},
            "spec.endpoint.apiKeys.secretName: Required value",
        ),
        (
            {"endpoint": {"jwt": {"issuer": "http://login.example.com", "audiences": ["faq"]}}},
            "issuer must be https://host/path as the issuer itself writes it, without user, query and fragment",
        ),
        (
            {"endpoint": {"jwt": {"issuer": "https://login.example.com", "audiences": []}}},
            "spec.endpoint.jwt.audiences in body should have at least 1 items",
        ),
        (
            {"endpoint": {"rateLimit": {"perClient": {"requestsPerSecond": 0}}}},
            "requestsPerSecond must be at least 0.001; to let nobody in, scale the model to 0",
        ),
        ({"endpoint": {"clients": {"trustedProxies": ["10.0.0.1"]}}}, "cidr must be an IP network such as 10.0.0.0/8"),
        (
            {"endpoint": {"clients": {"trustedProxies": ["fd00::1/64"]}}},
            "cidr must be an IP network such as 10.0.0.0/8",
        ),
        (
            {"endpoint": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["203.0.113.7/24"]}},
            "cidr must be an IP network such as 10.0.0.0/8",
        ),
        (
            {"network": {"egress": [{"cidr": "203.0.113.7/24"}]}},
            'spec.network.egress[0].cidr: Invalid value: "203.0.113.7/24": cidr must be an IP network such as 10.0.0.0/8',
        ),
        (
            {"runtime": {"env": [{"name": "SCORING_API_KEYS_DIR", "value": ""}]}},
            "this variable follows from other fields",
        ),
        (
            {"batching": {"maxSize": 0}},
            "spec.batching.maxSize: Invalid value: 0: spec.batching.maxSize in body should be greater than or equal to 1",
        ),
        (
            {"batching": {"maxDelayMilliseconds": 20_000}},
            "spec.batching.maxDelayMilliseconds in body should be less than or equal to 10000",
        ),
        (
            {"runtime": {"imagePullPolicy": "Sometimes"}},
            'spec.runtime.imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
        ),
        (
            {"runtime": {"imagePullSecrets": ["registry-login"]}},
            "spec.runtime.imagePullSecrets[0] in body must be of type object",
        ),
        (
            {"runtime": {"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}},
            "spec.runtime.imagePullSecrets[1]: Duplicate value",
        ),
        (
            {"runtime": {"imagePullSecrets": [{"name": "A_b"}]}},
            "spec.runtime.imagePullSecrets[0].name in body should match",
        ),
        (
            {"runtime": {"env": [{"name": "SCORING_BATCH_MAX_SIZE", "value": "8"}]}},
            "this variable follows from other fields (spec.model, spec.batching, spec.endpoint) and cannot be set here",
        ),
        (
            {"endpoint": {"type": "ExternalName"}},
            'spec.endpoint.type: Unsupported value: "ExternalName": supported values: "ClusterIP", "NodePort", "LoadBalancer"',
        ),
        (
            {"endpoint": {"host": "*.example.com"}},
            "host must be a DNS name in lower case, such as faq.example.com: no wildcard, no port, no IP address",
        ),
        ({"endpoint": {"host": "192.0.2.1"}}, "host must be a DNS name in lower case"),
        ({"endpoint": {"host": "a.b", "path": "faq"}}, "path must be / or a prefix such as /faq or /team/faq"),
        ({"endpoint": {"host": "a.b", "path": "/a/../b"}}, "path must be / or a prefix such as /faq or /team/faq"),
        ({"endpoint": {"host": "a.b", "path": "/score"}}, "path must not begin with a path of the runtime itself"),
        (
            {"endpoint": {"tls": {"secretName": "cert"}}},
            "path, tls, ingressClassName, ingressAnnotations and gateway need a host: set spec.endpoint.host",
        ),
        (
            {"endpoint": {"host": "a.b", "gateway": {"name": "public"}, "ingressClassName": "nginx"}},
            "gateway excludes ingressClassName and ingressAnnotations: an endpoint has an HTTPRoute or an Ingress, never both",
        ),
        (
            {"endpoint": {"host": "a.b", "gateway": {"name": "public"}, "tls": {}}},
            "tls is for an Ingress; behind a Gateway TLS is its listener's: leave tls out, and name the HTTPS listener in gateway.sectionName",
        ),
        (
            {"endpoint": {"host": "a.b", "gateway": {"name": "public", "redirectSectionName": "http"}}},
            "redirectSectionName needs sectionName: name the HTTPS listener that serves, too",
        ),
        (
            {"endpoint": {"host": "a.b", "tls": {"issuer": {"name": "ca", "kind": "Vault"}}}},
            "kind must be Issuer or ClusterIssuer in the group cert-manager.io",
        ),
        (
            {"runtime": {"env": [{"name": "SCORING_MODEL_URI", "value": "x"}]}},
            "this variable follows from other fields (spec.model, spec.batching, spec.endpoint) and cannot be set here",
        ),
        (
            {"runtime": {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "500m"}}}},
            "requests must not be above limits",
        ),
        (
            {"runtime": {"serviceAccount": {}, "serviceAccountName": "faq"}},
            "spec.runtime: Invalid value: serviceAccount and serviceAccountName exclude each other",
        ),
        ({"runtime": {"resources": {"limits": {"memory": "4 GB"}}}}, "spec.runtime.resources.limits.memory"),
        (
            {"runtime": {"resources": {"requests": {"cpu": -1}}}},
            "spec.runtime.resources.requests.cpu in body should be greater than or equal to 0",
        ),
    ],
)
def test_apply_says_what_is_wrong_for_a_bad_field(models: ScoringModels, spec: dict[str, Any], message: str) -> None:
    assert message in read_refusal(models, spec)


@pytest.mark.parametrize("name", ["1st", "a.b", "a" * 64])
def test_apply_says_what_is_wrong_for_a_name_that_no_service_can_have(models: ScoringModels, name: str) -> None:
    said = read_refusal(models, {}, name)
    assert (
        "metadata.name must be a valid Service name: at most 63 of a-z, 0-9 and -, starting with a letter and not ending with -"
        in said
    )


def test_apply_accepts_a_pickle_with_its_digest(models: ScoringModels) -> None:
    models.apply("pickled", model={"uri": "https://host/model.pkl?signature=x", "digest": DIGEST})


@pytest.mark.parametrize(
    "model",
    [
        MODEL_SPECS[1]["model"],
        {"uri": "gs://models/faq", "credentials": {"anonymous": True}, "sizeLimit": 1024},
        {"uri": "abfs://models@account.dfs.core.windows.net/faq/", "credentials": {"secretName": "azure"}},
        {"uri": "hf://team/faq@refs%2Fpr%2F1/onnx", "endpoint": "https://hub.example.com"},
        {"uri": "oci://registry.example.com:5000/team/faq@" + DIGEST, "signature": {**SIGNATURE, "value": "QQ=="}},
        {"uri": "pvc://models/faq.tar", "signature": {"publicKey": PUBLIC_KEY * 2, "uri": "pvc://models/faq.sig"}},
        {"uri": "s3://models/faq", "endpoint": "http://minio:9000", "digest": DIGEST},
    ],
)
def test_apply_accepts_an_artifact_of_each_scheme(models: ScoringModels, model: dict[str, Any]) -> None:
    models.apply("remote", model=model)


def test_apply_fills_in_the_defaults(models: ScoringModels) -> None:
    models.apply("minimal", hardwareClass=None, model={"uri": "file:///m"}, autoscaling={"maxReplicas": 3})
    spec = models.kubectl.get("scoringmodel", "minimal")["spec"]
    assert spec["replicas"] == 1
    assert spec["endpoint"] == {"type": "ClusterIP", "grpc": False}
    assert spec["batching"] == {"maxDelayMilliseconds": 0}
    assert spec["autoscaling"] == {"minReplicas": 1, "maxReplicas": 3, "metrics": [{"type": "cpu", "target": 70}]}


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "203.0.113.7/32", "fd00::/8", "fd00::1/128"])
def test_apply_accepts_networks_of_any_size(models: ScoringModels, cidr: str) -> None:
    models.apply("networked", network={"ingress": [{"cidr": cidr}], "egress": [{"cidr": cidr}]})


def apply_class(kubectl: Kubectl, **spec: Any) -> str:
    """Have the API server check a HardwareClass without keeping it; return what kubectl says."""
    body = {
        "apiVersion": "scoring.dev/v1beta1",
        "kind": "HardwareClass",
        "metadata": {"name": "checked"},
        "spec": {"resources": {"limits": {"cpu": 1}}, **spec},
    }
    return kubectl("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(body))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"accelerator": {"resource": "gpu"}}, "spec.accelerator.resource"),
        ({"resources": {"limits": {"cpu": -1}}}, "spec.resources.limits.cpu"),
        ({"tolerations": [{"value": "a"}]}, "a toleration without a key needs operator Exists"),
        ({"tolerations": [{"key": "", "value": "a"}]}, "a toleration without a key needs operator Exists"),
        ({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, "value is for operator Equal"),
        ({"tolerations": [{"key": "a", "tolerationSeconds": 60}]}, "tolerationSeconds is for effect NoExecute"),
        (
            {"tolerations": [{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 60}]},
            "tolerationSeconds is for effect NoExecute",
        ),
    ],
)
def test_apply_says_what_is_wrong_with_a_hardware_class(kubectl: Kubectl, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(KubectlError) as refused:
        apply_class(kubectl, **spec)
    assert message in str(refused.value)


def test_apply_accepts_each_toleration_that_a_pod_may_have(kubectl: Kubectl) -> None:
    tolerations = [
        {"operator": "Exists"},
        {"key": "", "operator": "Exists", "value": "", "effect": "NoSchedule"},
        {"key": "gpu"},
        {"key": "gpu", "value": "a", "effect": "PreferNoSchedule"},
        {"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0},
    ]
    assert "created" in apply_class(kubectl, tolerations=tolerations)


def test_apply_accepts_a_gpu_among_the_limits(kubectl: Kubectl) -> None:
    assert "created" in apply_class(kubectl, resources={"limits": {"cpu": 1, "nvidia.com/gpu": 1}})


@pytest.mark.parametrize(
    "path",
    [
        "spec.model.digest",
        "spec.autoscaling.metrics.target",
        "status.conditions",
        "spec.endpoint.gateway.redirectSectionName",
    ],
)
def test_explain_has_a_text_for_each_field(kubectl: Kubectl, path: str) -> None:
    assert "<empty>" not in kubectl("explain", f"scoringmodel.{path}")


def test_scale_subresource_sets_the_replicas(models: ScoringModels) -> None:
    models.apply("scaled")
    models.kubectl("scale", "scoringmodel", "scaled", "--replicas=4")
    assert models.kubectl.get("scoringmodel", "scaled")["spec"]["replicas"] == 4


def test_sample_classes_are_accepted(kubectl: Kubectl) -> None:
    sample = ROOT / "samples" / "platform" / "hardwareclasses.yaml"
    assert kubectl("apply", "--dry-run=server", "-f", str(sample)).count("created") == sample.read_text().count("kind:")


@pytest.mark.parametrize(
    "sample", sorted(ROOT.glob("samples/*/scoringmodel*.yaml")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_sample_is_accepted(models: ScoringModels, sample: Path) -> None:
    assert "created" in models.kubectl("apply", "--dry-run=server", "-f", str(sample))


def test_sample_writer_is_accepted_under_the_restricted_standard(models: ScoringModels) -> None:
    kubectl = models.kubectl
    kubectl("label", "namespace", kubectl.namespace, "pod-security.kubernetes.io/enforce=restricted")
    wait_for(lambda: kubectl.find("serviceaccount", "default") is not None, "the namespace's account")
    sample = ROOT / "samples" / "platform" / "models-writer.yaml"
    assert kubectl("apply", "--dry-run=server", "-f", str(sample)).count("created") == 2


def test_manifests_in_documents_are_accepted(models: ScoringModels) -> None:
    documented = list(find_manifests().values())
    for body in documented:
        body["metadata"].pop("namespace", None)
    said = models.kubectl("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump_all(documented))
    assert len(documented) > 30
    assert len(said.splitlines()) == len(documented)
