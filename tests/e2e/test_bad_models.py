"""ScoringModels that cannot be served: what their status says, word for word, in real pods. No pod is replaced, nothing retries hot."""

from typing import Any

import pytest

from artifacts import Artifacts
from samples.demo.clusters import Cluster
from samples.demo.volumes import close_volume, copy_artifact, open_volume
from scoring_models import ScoringModels
from waiting import wait_for

WRONG = "sha256:" + "0" * 64


def read_only_pod(models: ScoringModels, name: str) -> dict[str, Any]:
    """Return the one pod of a model."""
    (pod,) = models.kubectl.list("pods", "-l", f"scoring.dev/model={name}")
    return pod


def apply(models: ScoringModels, name: str, **spec: Any) -> None:
    """Apply a model on the small hardware class."""
    models.apply(name, **{"hardwareClass": "e2e-small", **spec})


@pytest.mark.parametrize(
    ("name", "model", "reason", "message"),
    [
        (
            "missing",
            {"uri": "pvc://models/nowhere.tar"},
            "ArtifactNotFound",
            "Nothing at pvc://models/nowhere.tar (/mnt/model/nowhere.tar in the container). Correct spec.model.uri.",
        ),
        (
            "wrong-digest",
            {"uri": "pvc://models/faq/javascript-faq.tar", "digest": WRONG},
            "DigestMismatch",
            f"The artifact's digest is {{digest}}, but {WRONG} was given. If the new artifact is meant, correct spec.model.digest; "
            "if not, find out who changed it.",
        ),
        ("corrupt", {"uri": "pvc://models/corrupt.tar"}, "ArtifactCorrupt", "The artifact corrupt.tar cannot be unpacked: "),
        ("no-manifest", {"uri": "pvc://models/unlabelled.tar"}, "ManifestInvalid", "manifest.json"),
        (
            "wrong-format",
            {"uri": "pvc://models/resnet152/resnet152-onnx.tar", "format": "sklearn"},
            "FormatNotInstalled",
            "Use the image of the variant 'onnx'",
        ),
    ],
)  # fmt: skip
def test_artifact_that_cannot_be_served_is_explained_and_stalled(
    models: ScoringModels, artifacts: Artifacts, name: str, model: dict[str, str], reason: str, message: str
) -> None:
    apply(models, name, model={"format": "sklearn", **model})
    ready = models.wait_for_reason(reason, name)
    assert message.format(digest=artifacts.faq_digest) in ready["message"]
    conditions = models.kubectl.get("scoringmodel", name)["status"]["conditions"]
    assert [condition["type"] for condition in conditions] == ["Ready", "Stalled"]
    assert read_only_pod(models, name)["status"]["containerStatuses"][0]["restartCount"] <= 2
    models.kubectl("delete", "scoringmodel", name)


def test_missing_artifact_put_in_place_is_picked_up_by_the_same_pod(
    models: ScoringModels, cluster: Cluster, images: dict[str, str], artifacts: Artifacts
) -> None:
    apply(models, "mended", model={"uri": "pvc://models/late.tar", "format": "sklearn"})
    models.wait_for_reason("ArtifactNotFound", "mended")
    uid = read_only_pod(models, "mended")["metadata"]["uid"]
    open_volume(cluster, models.kubectl.namespace, images["runtime-sklearn"])
    copy_artifact(cluster, models.kubectl.namespace, artifacts.faq, "late.tar")
    close_volume(cluster, models.kubectl.namespace)
    models.wait_until_ready("mended", timeout_seconds=180)
    pod = read_only_pod(models, "mended")
    assert pod["metadata"]["uid"] == uid
    assert pod["status"]["containerStatuses"][0]["restartCount"] <= 4
    models.kubectl("delete", "scoringmodel", "mended")


def test_missing_image_is_named(models: ScoringModels) -> None:
    apply(models, "no-image", runtime={"image": "registry.invalid/nobody/nothing:1"})
    models.wait_for_reason("ImagePullFailed", "no-image", timeout_seconds=120)
    said = (
        "Image registry.invalid/nobody/nothing:1 cannot be pulled: this node does not reach registry.invalid. "
        "Check the registry's name, and the node's way there."
    )

    def is_said() -> bool:
        condition = models.find_condition("Ready", "no-image")
        return condition is not None and condition["message"].startswith(said)

    wait_for(is_said, "the cause to be told")
    models.kubectl("delete", "scoringmodel", "no-image")


def test_gpu_that_no_node_has_is_unschedulable_and_says_why(models: ScoringModels) -> None:
    models.apply(
        "no-gpu", hardwareClass="gpu", model={"uri": "pvc://models/resnet152/resnet152-onnx.tar", "format": "onnx"}
    )
    ready = models.wait_for_reason("Unschedulable", "no-gpu")
    assert "Insufficient nvidia.com/gpu" in ready["message"]
    assert "nvidia.com/gpu 1; add such a node, or choose another hardware class." in ready["message"]
    models.kubectl("delete", "scoringmodel", "no-gpu")


def test_model_that_needs_more_memory_than_its_limit_is_told(models: ScoringModels) -> None:
    resources = {"requests": {"memory": "64Mi"}, "limits": {"memory": "64Mi"}}
    apply(
        models,
        "small",
        model={"uri": "pvc://models/faq/javascript-faq.tar", "format": "sklearn"},
        runtime={"resources": resources},
    )
    ready = models.wait_for_reason("OutOfMemory", "small", timeout_seconds=120)
    assert ready["message"] == (
        "A replica used more memory than its limit (64Mi) and was killed. Raise limits.memory in the hardware class or in spec.runtime.resources."
    )
    models.kubectl("delete", "scoringmodel", "small")
