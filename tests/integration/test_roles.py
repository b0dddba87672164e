"""Who may do what, asked by real identities: service accounts bound to the chart's and the cluster's own roles."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from identities import become
from kubectl import Kubectl, KubectlError
from scoring_models import ScoringModels
from waiting import wait_for

PLATFORM_ADMIN = "scoring-operator-platform-admin"


@pytest.fixture
def users(models: ScoringModels, kubectl: Kubectl, tmp_path: Path) -> Iterator[dict[str, Kubectl]]:
    """Yield kubectl as a viewer and an editor of the models' namespace, as a platform admin, and as somebody without any role."""
    own = models.kubectl
    for name in ("viewer", "editor", "platform", "nobody"):
        own("create", "serviceaccount", name)
    for name, role in (("viewer", "view"), ("editor", "edit")):
        own("create", "rolebinding", name, f"--clusterrole={role}", f"--serviceaccount={own.namespace}:{name}")
    binding = f"platform-{own.namespace}"
    kubectl(
        *("create", "clusterrolebinding", binding, f"--clusterrole={PLATFORM_ADMIN}"),
        f"--serviceaccount={own.namespace}:platform",
    )
    yield {name: become(own, name, tmp_path) for name in ("viewer", "editor", "platform", "nobody")}
    kubectl("delete", "clusterrolebinding", binding)


def is_refused(kubectl: Kubectl, *arguments: str) -> bool:
    """Tell whether the API server forbids a command."""
    try:
        kubectl(*arguments)
    except KubectlError as error:
        if "forbidden" not in str(error).lower():
            raise
        return True
    return False


def test_viewer_sees_models_and_classes_and_changes_nothing(models: ScoringModels, users: dict[str, Kubectl]) -> None:
    models.apply()
    models.wait_until_ready()
    viewer = users["viewer"]
    wait_for(lambda: not is_refused(viewer, "get", "scoringmodel", "faq"), "the role to be aggregated")
    assert "cpu" in viewer("get", "hardwareclasses")
    assert is_refused(viewer, "scale", "scoringmodel", "faq", "--replicas=2")
    assert is_refused(viewer, "delete", "scoringmodel", "faq")


def test_editor_makes_scales_and_deletes_models_but_reaches_nothing_of_the_platforms(
    models: ScoringModels, users: dict[str, Kubectl]
) -> None:
    editor = users["editor"]
    wait_for(lambda: not is_refused(editor, "get", "scoringmodels"), "the role to be aggregated")
    editor.apply(models.build())
    models.wait_until_ready()
    editor("scale", "scoringmodel", "faq", "--replicas=2")
    wait_for(lambda: models.find_ready().get("message") == "2 of 2 replicas ready.", "two replicas")
    assert is_refused(editor, "patch", "hardwareclass", "cpu", "--type=merge", "--patch={}")
    assert is_refused(editor, "delete", "hardwareclass", "gpu")
    status = '--patch={"status": {"url": "http://elsewhere"}}'
    assert is_refused(editor, "patch", "scoringmodel", "faq", "--subresource=status", "--type=merge", status)
    assert is_refused(editor, "get", "scoringmodels", "--all-namespaces")
    editor("delete", "scoringmodel", "faq")


def test_platform_admin_writes_classes_and_models_but_no_status_and_reads_no_secrets(
    models: ScoringModels, users: dict[str, Kubectl]
) -> None:
    platform = users["platform"]
    wait_for(lambda: not is_refused(platform, "get", "hardwareclasses"), "the binding")
    name = f"own-{models.kubectl.namespace[-8:]}"
    spec = {"resources": {"requests": {"cpu": "1"}}}
    platform.apply(
        {"apiVersion": "scoring.dev/v1beta1", "kind": "HardwareClass", "metadata": {"name": name}, "spec": spec}
    )
    platform("patch", "hardwareclass", name, "--type=merge", '--patch={"spec": {"threads": 2}}')
    platform("delete", "hardwareclass", name)
    platform.apply(models.build())
    models.wait_until_ready()
    assert is_refused(platform, "patch", "scoringmodel", "faq", "--subresource=status", "--type=merge", "--patch={}")
    assert is_refused(platform, "get", "secrets")
    assert is_refused(platform, "get", "pods")


def test_somebody_without_a_role_sees_classes_only(models: ScoringModels, users: dict[str, Kubectl]) -> None:
    models.apply()
    nobody = users["nobody"]
    assert "cpu" in nobody("get", "hardwareclasses")
    assert is_refused(nobody, "get", "scoringmodels")
    assert is_refused(nobody, "delete", "hardwareclass", "cpu")
