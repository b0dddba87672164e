"""The sample app in real pods, as docs/sample-app.md deploys it, before ScoringModels that ask for keys. Needs root, and the real node."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from app_steps import ask, sign_in, wait_for_faqs, wait_for_labels
from chromium import PHONE, open_page
from kubectl import Kubectl
from samples.demo.app import USER, App, deploy_app, find_service
from samples.demo.clusters import Choice, Cluster, open_cluster
from samples.demo.install import install_operator
from samples.demo.questions import forward_service
from samples.demo.volumes import close_volume, copy_artifact, open_volume
from scoring_models import ScoringModels, open_namespace

if TYPE_CHECKING:
    from playwright.sync_api import Browser

KEYS = "model-keys"
MODELS = {"faq": "sklearn", "digits": "onnx"}
SMALL = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}


@pytest.fixture(scope="module")
def cluster(browser: "Browser") -> Cluster:
    """Return the local cluster, once it is known that there is a browser."""
    del browser
    return open_cluster(Choice.LOCAL)


@pytest.fixture(scope="module")
def models(cluster: Cluster, packaged: Any) -> Iterator[ScoringModels]:
    """Yield the two models of a namespace under the restricted standard, both of which ask for keys."""
    images = install_operator(cluster, sorted(MODELS.values()))
    assert cluster.kubeconfig is not None
    with open_namespace(Kubectl(cluster.kubectl_program, cluster.kubeconfig), "app") as models:
        namespace = models.kubectl.namespace
        models.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
        open_volume(cluster, namespace, images["runtime-sklearn"])
        for name, archive in (("faq", packaged.faq), ("digits", packaged.digits.archive)):
            copy_artifact(cluster, namespace, archive, f"{name}.tar")
        close_volume(cluster, namespace)
        for name, model_format in MODELS.items():
            model = {"uri": f"pvc://models/{name}.tar", "format": model_format}
            endpoint = {"apiKeys": {"secretName": KEYS}}
            models.apply(name, model=model, endpoint=endpoint, runtime={"resources": SMALL})
        yield models


@pytest.fixture(scope="module")
def password(cluster: Cluster, models: ScoringModels, packaged: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Deploy the app, whose Secrets also bring the models' keys; wait for all, and return the user's password."""
    image = cluster.load_images(["client"])["client"]
    addresses = {"CLIENT_FAQ_URL": find_service("faq"), "CLIENT_IMAGES_URL": find_service("digits")}
    app = App(image, addresses, packaged.answers, KEYS)
    password = deploy_app(cluster, models.kubectl.namespace, app, tmp_path_factory.mktemp("overlay"))
    for name in MODELS:
        models.wait_until_ready(name, timeout_seconds=240)
    return password


def test_somebody_on_a_phone_asks_and_looks(
    browser: "Browser", cluster: Cluster, models: ScoringModels, packaged: Any, password: str
) -> None:
    with (
        forward_service(cluster, models.kubectl.namespace, "sample-client") as address,
        open_page(browser, address.replace("127.0.0.1", "localhost"), **PHONE) as page,
    ):
        sign_in(page, USER, password)
        ask(page)
        wait_for_faqs(page)
        assert "asynchronous call" in page.locator("#ask .match").first.inner_text()
        page.get_by_role("tab", name="Look at a picture").click()
        page.get_by_label("Choose a picture").set_input_files(packaged.digits.picture)
        wait_for_labels(page)
        assert packaged.digits.label in page.locator("#look .label").first.inner_text()


def test_pod_keeps_the_key_and_says_nothing_of_it(models: ScoringModels, password: str) -> None:
    kubectl = models.kubectl
    (pod,) = kubectl.list("pods", "-l", "app.kubernetes.io/name=sample-client")
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    log = kubectl("logs", pod["metadata"]["name"])
    assert '"event": "signed in"' in log
    assert password not in log + json.dumps(pod)
    assert "api-key" not in log
