"""Images from a registry that wants a password, pulled by the real node: with a login, without, with a wrong one, and what is said then."""

import os
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from kubectl import Manifest
from local_cluster.state import Cluster as LocalCluster
from local_clusters import open_kubectl
from model_images import TALKATIVE, TALKATIVE_MODEL, load_model_image
from registries import PASSWORD, Registry, run_registry
from samples.demo.clusters import CLUSTER_NAME, Cluster
from scoring_models import ScoringModels, open_namespace

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a real node needs root")

WRONG_PASSWORD = "planted-wrong-password"
START_SECONDS = 180.0


class Pushed(NamedTuple):
    """An image in the registry: by tag, and by digest."""

    registry: Registry
    by_tag: str
    by_digest: str


@pytest.fixture(scope="module")
def pushed(cluster: Cluster) -> Iterator[Pushed]:
    """Yield a registry with the image of a model in it."""
    image = load_model_image(cluster, TALKATIVE)
    with run_registry(LocalCluster(CLUSTER_NAME)) as registry:
        digest = registry.push(image, "team/runtime:7")
        yield Pushed(registry, f"{registry.host}/team/runtime:7", f"{registry.host}/team/runtime@{digest}")


@pytest.fixture
def models(cluster: Cluster, pushed: Pushed) -> Iterator[ScoringModels]:
    """Yield the ScoringModels of a namespace with a Secret that holds the right login, and one with a wrong one."""
    with open_namespace(open_kubectl(cluster), "registry") as models:
        for name, password in (("login", PASSWORD), ("wrong-login", WRONG_PASSWORD)):
            models.kubectl.apply(build_secret(name, pushed.registry, password))
        yield models


def build_secret(name: str, registry: Registry, password: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": registry.build_login(password)},
    }


def serve(models: ScoringModels, name: str, image: str, *secrets: str) -> None:
    runtime = {"image": image, "imagePullSecrets": [{"name": secret} for secret in secrets]}
    models.apply(name, model=TALKATIVE_MODEL, runtime=runtime)


def test_an_image_is_pulled_by_digest_with_the_models_own_login(models: ScoringModels, pushed: Pushed) -> None:
    serve(models, "own", pushed.by_digest, "login")
    models.wait_until_ready("own", START_SECONDS)
    (pod,) = models.kubectl.list("pods", "-l", "scoring.dev/model=own")
    assert pod["spec"]["imagePullSecrets"] == [{"name": "login"}]
    (container,) = pod["status"]["containerStatuses"]
    assert container["imageID"].endswith(pushed.by_digest.partition("@")[2])


def test_a_login_may_come_from_the_hardware_class(models: ScoringModels, pushed: Pushed) -> None:
    name = models.kubectl.namespace
    hardware = {"resources": {"requests": {"cpu": "50m"}}, "imagePullSecrets": [{"name": "login"}]}
    models.kubectl.apply(
        {"apiVersion": "scoring.dev/v1beta1", "kind": "HardwareClass", "metadata": {"name": name}, "spec": hardware}
    )
    try:
        models.apply("by-class", model=TALKATIVE_MODEL, hardwareClass=name, runtime={"image": pushed.by_tag})
        models.wait_until_ready("by-class", START_SECONDS)
    finally:
        models.kubectl("delete", "hardwareclass", name)


@pytest.mark.parametrize(
    ("tag", "secrets", "said"),
    [
        ("", (), "asks for a login. Name a Secret that has one in spec.runtime.imagePullSecrets"),
        ("", ("missing",), "refuses the login in Secret missing, or none is there."),
        ("", ("wrong-login",), "refuses the login in Secret wrong-login, or none is there."),
        ("-is-not-there", ("login",), "has no such repository, tag or digest."),
    ],
)
def test_a_failed_pull_says_what_to_do_and_no_password(
    models: ScoringModels, pushed: Pushed, tag: str, secrets: tuple[str, ...], said: str
) -> None:
    # Another name for the same image: what one pod has pulled with a login, no other gets without.
    image = pushed.by_tag + tag
    serve(models, "faq", image, *secrets)
    ready = models.wait_for_reason("ImagePullFailed", timeout_seconds=START_SECONDS)
    assert ready["message"].startswith(f"Image {image} cannot be pulled: ")
    assert said in ready["message"]
    if "missing" in secrets:
        # What the message refers to: the kubelet's word for a Secret that is not there.
        events = models.kubectl(
            "get", "events", "--field-selector=reason=FailedToRetrieveImagePullSecret", "-o", "json"
        )
        assert "missing" in events
    everything = models.kubectl("get", "scoringmodel,events,pods", "-o", "yaml")
    assert WRONG_PASSWORD not in everything
    assert PASSWORD not in everything


def test_a_model_serves_once_its_secret_is_there(models: ScoringModels, pushed: Pushed) -> None:
    serve(models, "late", pushed.by_tag, "later")
    models.wait_for_reason("ImagePullFailed", "late", START_SECONDS)
    models.kubectl.apply(build_secret("later", pushed.registry, PASSWORD))
    models.wait_until_ready("late", START_SECONDS)
