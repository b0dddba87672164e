"""The container that fetches: when there is one, what it gets that the serving container does not, and how the network lets it."""

from collections.abc import Callable
from typing import Any

import pytest

from scoring_operator.api import HardwareClass, Manifest, ScoringModel
from scoring_operator.errors import ModelProblem
from scoring_operator.kinds import DEPLOYMENT, NETWORK_POLICY
from scoring_operator.render import render_children
from scoring_operator.settings import Settings

DIGEST = "sha256:" + "ab" * 32
KEY = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"

BuildModel = Callable[..., ScoringModel]
BuildClass = Callable[..., HardwareClass]
RenderPod = Callable[..., Manifest]


@pytest.fixture
def render_pod(build_model: BuildModel, build_class: BuildClass, settings: Settings) -> RenderPod:
    """Return the pod template of a model with this spec.model."""

    def render(model: dict[str, Any], hardware: dict[str, Any] | None = None, **spec: Any) -> Manifest:
        body = build_model(model=model, **spec)
        deployment = render_children(body, build_class(**(hardware or {})), settings)[DEPLOYMENT]
        assert deployment is not None
        template: Manifest = deployment["spec"]["template"]
        return template

    return render


def find_environment(container: Manifest) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"]}


@pytest.mark.parametrize(
    "uri",
    [
        "https://host/m.tar",
        "s3://models/faq",
        "gs://models/faq/",
        "abfs://models@account.dfs.core.windows.net/faq.tar",
        "abfss://models@account.dfs.core.windows.net/faq.tar",
        "hf://team/faq@v1",
        "oci://registry.example.com/faq:1",
    ],
)
def test_what_has_to_be_fetched_is_fetched_by_an_init_container(render_pod: RenderPod, uri: str) -> None:
    pod = render_pod({"uri": uri})["spec"]
    (fetching,), (serving,) = pod["initContainers"], pod["containers"]
    assert (fetching["name"], fetching["image"], fetching["args"]) == ("fetch", "scoring-runtime:fetch", ["fetch"])
    assert find_environment(fetching)["SCORING_MODEL_URI"] == uri
    assert find_environment(serving)["SCORING_MODEL_FETCHED"] == "true"
    work = {"name": "work", "mountPath": "/var/lib/scoring"}
    assert work in fetching["volumeMounts"]
    assert {**work, "readOnly": True} in serving["volumeMounts"]
    assert fetching["securityContext"] == serving["securityContext"]


@pytest.mark.parametrize("uri", ["pvc://models/faq.tar", "file:///models/faq"])
def test_what_is_in_place_needs_no_init_container(render_pod: RenderPod, uri: str) -> None:
    pod = render_pod({"uri": uri})["spec"]
    assert "initContainers" not in pod
    assert "SCORING_MODEL_FETCHED" not in find_environment(pod["containers"][0])


def test_a_signature_of_what_is_in_place_is_checked_by_an_init_container(render_pod: RenderPod) -> None:
    pod = render_pod({"uri": "pvc://models/faq.tar", "signature": {"publicKey": KEY}})["spec"]
    (fetching,) = pod["initContainers"]
    assert find_environment(fetching)["SCORING_MODEL_SIGNATURE_KEY"] == KEY
    assert {"name": "model", "mountPath": "/mnt/model", "readOnly": True} in fetching["volumeMounts"]


def test_credentials_are_in_the_fetching_container_alone(render_pod: RenderPod) -> None:
    pod = render_pod({"uri": "s3://models/faq", "credentials": {"secretName": "keys"}})["spec"]
    (fetching,), (serving,) = pod["initContainers"], pod["containers"]
    assert {"name": "credentials", "secret": {"secretName": "keys", "optional": True}} in pod["volumes"]
    mount = {"name": "credentials", "mountPath": "/etc/scoring/credentials", "readOnly": True}
    assert mount in fetching["volumeMounts"]
    assert "keys" not in str(serving)
    assert "credentials" not in str(serving)


def test_fetching_takes_no_devices_and_no_more_than_serving(render_pod: RenderPod) -> None:
    hardware = {"accelerator": {"resource": "nvidia.com/gpu", "count": 2}}
    pod = render_pod({"uri": "s3://models/faq"}, hardware)["spec"]
    resources = pod["initContainers"][0]["resources"]
    assert resources == {
        "requests": {"cpu": "500m", "memory": "1Gi"},
        "limits": {"cpu": "1500m", "memory": "2Gi"},
    }


def test_size_limit_bounds_the_volume_and_the_transfer(render_pod: RenderPod) -> None:
    pod = render_pod({"uri": "s3://models/faq", "sizeLimit": "2Gi"})["spec"]
    assert {"name": "work", "emptyDir": {"sizeLimit": "2Gi"}} in pod["volumes"]
    assert find_environment(pod["initContainers"][0])["SCORING_MODEL_MAX_BYTES"] == str(2 * 2**30)


@pytest.mark.parametrize(
    ("uri", "labels", "annotations"),
    [
        ("s3://models/faq", {}, {"eks.amazonaws.com/skip-containers": "runtime"}),
        (
            "abfs://models@account.dfs.core.windows.net/faq",
            {"azure.workload.identity/use": "true"},
            {"azure.workload.identity/skip-containers": "runtime"},
        ),
        ("gs://models/faq", {}, {}),
        ("https://host/faq.tar", {}, {}),
    ],
)
def test_the_pods_cloud_identity_is_for_fetching(
    render_pod: RenderPod, uri: str, labels: dict[str, str], annotations: dict[str, str]
) -> None:
    def find_identity(template: Manifest, part: str) -> dict[str, str]:
        return {
            name: value for name, value in template["metadata"][part].items() if "amazon" in name or "azure" in name
        }

    template = render_pod({"uri": uri})
    assert find_identity(template, "labels") == labels
    assert find_identity(template, "annotations") == annotations
    with_secret = render_pod({"uri": uri, "credentials": {"secretName": "keys"}})
    assert find_identity(with_secret, "labels") == find_identity(with_secret, "annotations") == {}


def test_an_operator_without_the_image_says_what_to_do(build_model: BuildModel, build_class: BuildClass) -> None:
    settings = Settings(runtime_images={"sklearn": "scoring-runtime:sklearn"})
    with pytest.raises(ModelProblem, match=r"no image that fetches s3:// .*: add fetch to the chart's runtimeImages"):
        render_children(build_model(model={"uri": "s3://models/faq"}), build_class(), settings)


@pytest.mark.parametrize(
    ("model", "ports"),
    [
        ({"uri": "https://host/m.tar"}, [443]),
        ({"uri": "https://host:8443/m.tar"}, [8443]),
        ({"uri": "oci://registry:5000/faq:1"}, [5000]),
        ({"uri": "hf://team/faq"}, [443]),
        ({"uri": "s3://models/faq", "credentials": {"secretName": "keys"}}, [443]),
        ({"uri": "s3://models/faq", "credentials": {"anonymous": True}, "endpoint": "https://minio:9000"}, [9000]),
        (
            {
                "uri": "s3://models/faq",
                "digest": DIGEST,
                "endpoint": "http://minio",
                "credentials": {"secretName": "k"},
            },
            [80],
        ),
        ({"uri": "s3://models/faq"}, [443, 80]),
        ({"uri": "gs://models/faq"}, [443, 80, 988]),
        ({"uri": "pvc://models/faq"}, []),
    ],
)
def test_network_policy_lets_the_artifact_through(
    build_model: BuildModel, build_class: BuildClass, settings: Settings, model: dict[str, Any], ports: list[int]
) -> None:
    policy = render_children(build_model(model=model, network={}), build_class(), settings)[NETWORK_POLICY]
    assert policy is not None
    names, *rules = policy["spec"]["egress"]
    assert {port["port"] for port in names["ports"]} == {53, 5353}
    assert [port["port"] for rule in rules for port in rule["ports"]] == ports
