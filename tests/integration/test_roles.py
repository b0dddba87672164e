"""Who may do what, asked by real identities: service accounts bound to the chart's and the cluster's own roles."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from helm_chart import NAMESPACE, RELEASE
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


ASKED = {
    "read models": ("list", "scoringmodels"),
    "write models": ("create", "scoringmodels"),
    "delete models": ("deletecollection", "scoringmodels"),
    "scale": ("update", "scoringmodels/scale"),
    "write status": ("patch", "scoringmodels/status"),
    "finalizers": ("update", "scoringmodels/finalizers"),
    "read classes": ("list", "hardwareclasses"),
    "write classes": ("update", "hardwareclasses"),
    "status of classes": ("patch", "hardwareclasses/status"),
    "read secrets": ("get", "secrets"),
    "list secrets": ("list", "secrets"),
    "run pods": ("create", "pods"),
    "enter pods": ("create", "pods/exec"),
    "deployments": ("create", "deployments.apps"),
    "roles": ("create", "rolebindings.rbac.authorization.k8s.io"),
    "impersonate": ("impersonate", "serviceaccounts"),
    "tokens": ("create", "serviceaccounts/token"),
}
MODELS = {"read models", "write models", "delete models", "scale", "read classes"}
CLUSTERS_OWN = {"read secrets", "list secrets", "run pods", "enter pods", "deployments", "impersonate", "tokens"}
ALLOWED = {
    "viewer": {"read models", "read classes"},
    # The last are the cluster's own: who may edit a namespace reads its secrets and runs pods there, with or without us.
    "editor": MODELS | CLUSTERS_OWN,
    "platform": MODELS | {"write classes"},
    "modeller": MODELS,
    "nobody": {"read classes"},
    "operator": {"read models", "write status", "finalizers", "read classes", "status of classes", "deployments"},
}
"""What docs/roles.md says, and nothing else."""


def find_allowed(kubectl: Kubectl) -> set[str]:
    """Return what of ASKED somebody may do in the namespace."""
    allowed = set()
    for name, (verb, resource) in ASKED.items():
        kind, _, subresource = resource.partition("/")
        try:
            kubectl("auth", "can-i", verb, kind, f"--subresource={subresource}")
        except KubectlError:
            continue  # "no" is exit status 1.
        allowed.add(name)
    return allowed


def test_everybody_may_do_what_the_table_says_and_nothing_else(
    models: ScoringModels, kubectl: Kubectl, users: dict[str, Kubectl], tmp_path: Path
) -> None:
    own = models.kubectl
    make_modeller(own)
    operator = become(kubectl.in_namespace(NAMESPACE), RELEASE, tmp_path).in_namespace(own.namespace)
    everybody = {**users, "modeller": become(own, "modeller", tmp_path), "operator": operator}
    assert set(everybody) == set(ALLOWED)
    wait_for(lambda: "write models" in find_allowed(users["editor"]), "the role to be aggregated")
    assert {name: find_allowed(identity) for name, identity in everybody.items()} == ALLOWED


def make_modeller(own: Kubectl) -> None:
    """Make somebody with rights on ScoringModels alone, as a narrow role of a cluster's own might give them."""
    own("create", "serviceaccount", "modeller")
    own("create", "role", "modeller", "--verb=*", "--resource=scoringmodels,scoringmodels/scale")
    own("create", "rolebinding", "modeller", "--role=modeller", f"--serviceaccount={own.namespace}:modeller")


def test_who_writes_models_alone_chooses_what_their_pods_are_given(models: ScoringModels, tmp_path: Path) -> None:
    """Not prevented, and said so in docs/roles.md: rights on models are rights to run pods with the namespace's accounts and secrets."""
    own = models.kubectl
    make_modeller(own)
    modeller = become(own, "modeller", tmp_path)
    assert is_refused(modeller, "get", "secrets")
    assert is_refused(modeller, "run", "own", "--image=any")
    own("create", "serviceaccount", "other")
    runtime = {"image": "any:1", "serviceAccountName": "other", "imagePullSecrets": [{"name": "login"}]}
    modeller.apply(models.build("mine", runtime=runtime))
    wait_for(lambda: own.find("deployment", "mine"), "the Deployment")
    pod = own.get("deployment", "mine")["spec"]["template"]["spec"]
    assert (pod["serviceAccountName"], pod["imagePullSecrets"]) == ("other", [{"name": "login"}])
    # What is prevented: none of it comes with a token for the API server, or with more than the restricted standard allows.
    assert pod["automountServiceAccountToken"] is False
    assert pod["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False
    assert not any({"hostPath", "projected"} & volume.keys() for volume in pod["volumes"])
