"""The chart's hooks: the Job that upgrades the CRDs, and `helm test`."""

import asyncio
import datetime
import json

import pytest
from aiohttp import web

from helm_chart import REQUIRED_VALUES, Manifest, find_hook, render_everything, template_chart
from scoring_operator.crds import build_crds
from web_servers import serve

OPERATORS_LABELS = {"app.kubernetes.io/name": "scoring-operator", "app.kubernetes.io/instance": "scoring-operator"}


def read_hook(hook: str, *arguments: str) -> dict[str, Manifest]:
    """Return the objects of one hook by kind."""
    return {body["kind"]: body for body in render_everything(*arguments) if find_hook(body) == hook}


def read_pod(hook: dict[str, Manifest]) -> Manifest:
    """Return a hook's pod, or its Job's, with metadata."""
    pod: Manifest = hook["Pod"] if "Pod" in hook else hook["Job"]["spec"]["template"]
    return pod


def test_crds_are_upgraded_by_an_account_that_can_write_nothing_else() -> None:
    hook = read_hook("pre-upgrade")
    names = [crd["metadata"]["name"] for crd in build_crds().values()]
    named, unnamed = hook["ClusterRole"]["rules"]
    assert (sorted(named["resourceNames"]), named["verbs"]) == (sorted(names), ["get", "update"])
    assert unnamed["verbs"] == ["create"]
    assert {(*rule["apiGroups"], *rule["resources"]) for rule in (named, unnamed)} == {
        ("apiextensions.k8s.io", "customresourcedefinitions")
    }


def read_crds_hook(age_seconds: int) -> str | None:
    """Return when an installation upgrades CRDs that the cluster has had for so long; a server on the loopback plays its API server."""
    created = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=age_seconds)
    group = "apiextensions.k8s.io/v1"
    kind = {
        "name": "customresourcedefinitions",
        "kind": "CustomResourceDefinition",
        "namespaced": False,
        "verbs": ["get"],
    }
    metadata = {"name": "scoringmodels.scoring.dev", "creationTimestamp": f"{created:%Y-%m-%dT%H:%M:%SZ}"}
    bodies = {
        f"/apis/{group}": {"kind": "APIResourceList", "groupVersion": group, "resources": [kind]},
        f"/apis/{group}/{kind['name']}/{metadata['name']}": {
            "apiVersion": group,
            "kind": kind["kind"],
            "metadata": metadata,
        },
    }

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(bodies.get(request.path), status=200 if request.path in bodies else 404)

    async def render() -> list[Manifest]:
        async with serve(answer) as url:
            return await asyncio.to_thread(render_everything, "--dry-run=server", f"--kube-apiserver={url}")

    (job,) = (body for body in asyncio.run(render()) if body["kind"] == "Job")
    return find_hook(job)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize(("age_seconds", "hook"), [(0, "pre-upgrade"), (3600, "pre-install,pre-upgrade")])
def test_installation_upgrades_crds_that_were_there_before_it_in_any_time_zone(
    zone: str, age_seconds: int, hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    monkeypatch.setenv("KUBECONFIG", "/dev/null")
    assert read_crds_hook(age_seconds) == hook


def test_values_of_an_earlier_version_alone_are_refused_with_the_remedy() -> None:
    # What --reuse-values gives a newer chart: nothing for its new values.
    done = template_chart(
        *REQUIRED_VALUES, "--set", "crds=null,networkPolicy=null,podSecurityContext=null,extraEnv=null"
    )
    assert done.returncode != 0
    assert "--reset-then-reuse-values instead of --reuse-values" in done.stderr


def test_crds_are_left_to_others_when_not_wanted() -> None:
    assert not read_hook("pre-upgrade", "--set", "crds.upgrade=false")


@pytest.mark.parametrize(
    ("values", "namespace"), [("replicas=2", "scoring-system"), ("namespaces={team-a,team-b}", "team-a")]
)
def test_models_are_tried_where_the_operator_serves(values: str, namespace: str) -> None:
    hook = read_hook("test", "--set", values)
    assert {hook[kind]["metadata"]["namespace"] for kind in ("Role", "RoleBinding")} == {namespace}
    assert read_pod(hook)["spec"]["containers"][0]["command"][-2:] == ["test", namespace]
    assert hook["Role"]["rules"] == [
        {"apiGroups": ["scoring.dev"], "resources": ["scoringmodels"], "verbs": ["create", "get", "delete"]}
    ]


@pytest.mark.parametrize("name", ["pre-upgrade", "test"])
def test_hooks_account_is_bound_to_its_own_role(name: str) -> None:
    hook = read_hook(name)
    (binding,) = (body for kind, body in hook.items() if kind.endswith("RoleBinding") or kind == "ClusterRoleBinding")
    account = hook["ServiceAccount"]["metadata"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
    ]
    assert binding["roleRef"]["name"] == hook[binding["roleRef"]["kind"]]["metadata"]["name"]
    assert read_pod(hook)["spec"]["serviceAccountName"] == account["name"]


@pytest.mark.parametrize("name", ["pre-upgrade", "test"])
def test_hooks_pod_is_restricted_and_no_operator(name: str) -> None:
    pod = read_pod(read_hook(name))
    (container,) = pod["spec"]["containers"]
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    # The Deployment, the disruption budget and the network policy select by these.
    assert not OPERATORS_LABELS.items() <= pod["metadata"]["labels"].items()


@pytest.mark.parametrize("name", ["pre-upgrade", "test"])
def test_hooks_pod_follows_the_values_of_pods(name: str) -> None:
    pod_values = {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "priorityClassName": "system-cluster-critical",
        "imagePullSecrets": [{"name": "registry"}],
    }
    values = {**pod_values, "podLabels": {"sidecar.istio.io/inject": "false"}, "podAnnotations": {"team": "ml"}}
    pod = read_pod(read_hook(name, *(f"--set-json={key}={json.dumps(value)}" for key, value in values.items())))
    assert {key: pod["spec"][key] for key in pod_values} == pod_values
    assert pod["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
    assert pod["metadata"]["annotations"]["team"] == "ml"
