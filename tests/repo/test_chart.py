"""What the chart makes of its values."""

import json
from pathlib import Path
from typing import get_args

import pytest

from helm_chart import Helm, Manifest, Render
from scoring_operator.api import HardwareClass, ModelSource
from scoring_operator.settings import Settings

PREFIX = "SCORING_OPERATOR_"

READING = {"get", "list", "watch"}
MAKING = READING | {"create", "patch"}
RULES = {
    ("scoring.dev", "scoringmodels"): READING,
    ("scoring.dev", "scoringmodels/status"): {"patch"},
    ("scoring.dev", "scoringmodels/finalizers"): {"update"},
    ("apps", "deployments"): MAKING,
    ("", "services"): MAKING,
    ("", "serviceaccounts"): MAKING | {"delete"},
    ("autoscaling", "horizontalpodautoscalers"): MAKING | {"delete"},
    ("keda.sh", "scaledobjects"): MAKING | {"delete"},
    ("policy", "poddisruptionbudgets"): MAKING | {"delete"},
    ("networking.k8s.io", "networkpolicies"): MAKING | {"delete"},
    ("networking.k8s.io", "ingresses"): MAKING | {"delete"},
    ("gateway.networking.k8s.io", "httproutes"): MAKING | {"delete"},
    ("resource.k8s.io", "resourceclaimtemplates"): MAKING | {"delete"},
    ("monitoring.coreos.com", "servicemonitors"): MAKING | {"delete"},
    ("", "pods"): READING,
    ("", "events"): {"create"},
}
"""What the operator may do where it serves models."""

CLUSTER_RULES = {
    ("scoring.dev", "hardwareclasses"): READING,
    ("apiextensions.k8s.io", "customresourcedefinitions"): {"list", "watch"},
    ("networking.k8s.io", "ingressclasses"): {"list", "watch"},
    ("gateway.networking.k8s.io", "gateways"): {"list", "watch"},
}
CAPACITY_RULES = {("scoring.dev", "hardwareclasses/status"): {"patch"}, ("", "nodes"): {"list", "watch"}}

BAD_VALUES = [
    "workers=0",
    "workers=many",
    "resyncSeconds=0",
    "stuckSeconds=-1",
    "healthPort=80",
    "logFormat=xml",
    "logLevel=loud",
    "image.digest=sha256:short",
    "image.tag=not a tag",
    "image.pullPolicy=Sometimes",
    "image.name=operator",
    "runtimeImages.sklern=registry.example.com/sklearn:1",
    "runtimeImages.sklearn_cuda=registry.example.com/sklearn:1",
    "namespaces={Team_A}",
    "networkPolicies=never",
    "prometheusAddress=prometheus",
    "routes.ingressClassName=Nginx",
    "routes.ingressAnnotations.a=1",
    "routes.gateway.namespace=infra",
    "routes.gateway.name=public,routes.gateway.redirectSectionName=http",
    "routes.gateway.name=public,routes.gateway.listener=https",
    "routes.issuer.kind=ClusterIssuer",
    "classRolloutShare=0",
    "serviceMonitors.label=a",
    "runtimeImages.sklearn=",
    "hardwareClasses[0].name=cpu",
    "hardwareClasses[0].name=Not_A_Name,hardwareClasses[0].spec.resources.limits.cpu=1",
    "replicas=-1",
    "replicas=two",
    "leaderElection.durationSeconds=1.5",
    "leaderElection.retrySeconds=0",
    "leaderElection.enabled=false",
    "metrics.port=80",
    "metrics.podMonitor.label=a",
    "alerts.enabled=yes",
    "alerts.runbookBase=https://docs.example.com",
    "crds.install=true",
    "crds.upgrade=sometimes",
    "fullnameOverride=Scoring",
    "extraEnv[0].name=SCORING_OPERATOR_WORKERS",
    "extraEnv[0].value=nameless",
    "networkPolicy.enable=true",
    "networkPolicy.apiServer.ports={0}",
    "networkPolicy.apiServer.cidrs={api.example.com}",
    "topologySpreadConstraints[0].maxSkew=1",
    "hardwareClasses[0].name=cpu,hardwareClasses[0].spec.resources.limit.cpu=1",
    "hardwareClasses[0].name=cpu,hardwareClasses[0].spec.nodeSelectors.disk=ssd",
]


def pick(manifests: list[Manifest], kind: str, name: str | None = None) -> Manifest:
    """Return the one object of a kind, or the one of that name."""
    (found,) = [
        body for body in manifests if body["kind"] == kind and (name is None or body["metadata"]["name"] == name)
    ]
    return found


def read_pod(manifests: list[Manifest]) -> Manifest:
    pod: Manifest = pick(manifests, "Deployment")["spec"]["template"]["spec"]
    return pod


def read_container(manifests: list[Manifest]) -> Manifest:
    (container,) = read_pod(manifests)["containers"]
    assert isinstance(container, dict)
    return container


def read_environment(manifests: list[Manifest]) -> dict[str, str]:
    """Return the variables whose values the chart itself knows."""
    return {variable["name"]: variable["value"] for variable in read_container(manifests)["env"] if "value" in variable}


def read_rules(role: Manifest) -> dict[tuple[str, str], set[str]]:
    """Return the verbs by group and resource; a pair that two rules name has the verbs of both."""
    rules: dict[tuple[str, str], set[str]] = {}
    for rule in role["rules"]:
        assert rule.keys() - {"resourceNames"} == {"apiGroups", "resources", "verbs"}
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                rules.setdefault((group, resource), set()).update(rule["verbs"])
    return rules


def test_chart_lints_without_values(helm: Helm, chart: Path) -> None:
    done = helm("lint", "--strict", str(chart))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("missing", "given"),
    [
        ("image.repository", "runtimeImages.sklearn=registry.example.com/sklearn:1"),
        ("runtimeImages", "image.repository=registry.example.com/operator"),
    ],
)
def test_chart_says_which_required_value_is_missing(template: Helm, missing: str, given: str) -> None:
    done = template("--set", given)
    assert done.returncode != 0
    assert f"{missing}: name the" in done.stderr


@pytest.mark.parametrize("value", BAD_VALUES)
def test_schema_refuses_a_bad_value(template: Helm, value: str) -> None:
    done = template("--set", value)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr


def test_schema_knows_the_formats_of_the_api(chart: Path) -> None:
    schema = json.loads((chart / "values.schema.json").read_text())
    literal = next(part for part in get_args(ModelSource.model_fields["format"].annotation) if get_args(part))
    pattern = schema["properties"]["runtimeImages"]["propertyNames"]["pattern"]
    assert pattern.startswith(f"^({'|'.join(get_args(literal))})")


def test_operator_may_do_exactly_what_it_needs(manifests: list[Manifest]) -> None:
    assert read_rules(pick(manifests, "ClusterRole", "scoring-operator")) == {
        **RULES,
        **CLUSTER_RULES,
        **CAPACITY_RULES,
    }


def test_operator_may_do_less_when_it_tells_no_capacity(render: Render) -> None:
    role = pick(render("--set", "capacityAdvice=false"), "ClusterRole", "scoring-operator")
    assert read_rules(role) == {**RULES, **CLUSTER_RULES}


def test_operator_has_rights_only_in_the_namespaces_that_it_serves(render: Render) -> None:
    manifests = render("--set", "namespaces={team-a,team-b}")
    assert read_rules(pick(manifests, "ClusterRole", "scoring-operator")) == CLUSTER_RULES
    roles = {
        body["metadata"]["namespace"]: body
        for body in manifests
        if body["kind"] == "Role" and body["metadata"]["namespace"] != "scoring-system"
    }
    assert roles.keys() == {"team-a", "team-b"}
    assert all(read_rules(role) == RULES for role in roles.values())
    bindings = [body for body in manifests if body["kind"] == "RoleBinding" and body["metadata"]["namespace"] in roles]
    assert [binding["subjects"][0]["namespace"] for binding in bindings] == ["scoring-system"] * 2
    assert json.loads(read_environment(manifests)["SCORING_OPERATOR_NAMESPACES"]) == ["team-a", "team-b"]


def test_no_role_names_secrets_or_wildcards(manifests: list[Manifest]) -> None:
    roles = [body for body in manifests if body["kind"] in {"ClusterRole", "Role"}]
    named = {
        word
        for role in roles
        for (group, resource), verbs in read_rules(role).items()
        for word in (group, resource, *verbs)
    }
    assert not named & {"secrets", "*"}


def test_operators_role_is_bound_to_its_account_only(manifests: list[Manifest]) -> None:
    account = {"kind": "ServiceAccount", "name": "scoring-operator", "namespace": "scoring-system"}
    binding = pick(manifests, "ClusterRoleBinding", "scoring-operator")
    assert binding["subjects"] == [account]
    assert binding["roleRef"]["name"] == "scoring-operator"
    assert read_pod(manifests)["serviceAccountName"] == pick(manifests, "ServiceAccount")["metadata"]["name"]


def test_users_write_models_but_only_read_hardware_classes(manifests: list[Manifest]) -> None:
    view, edit, hardware = (
        pick(manifests, "ClusterRole", f"scoring-operator-{name}") for name in ("view", "edit", "hardware-view")
    )
    reading = {"get", "list", "watch"}
    assert all(verbs == reading for verbs in read_rules(view).values())
    assert {resource.partition("/")[0] for _, resource in read_rules(edit)} == {"scoringmodels"}
    assert read_rules(hardware) == {("scoring.dev", "hardwareclasses"): reading}
    platform = pick(manifests, "ClusterRole", "scoring-operator-platform-admin")
    assert {group for group, _ in read_rules(platform)} == {"scoring.dev"}
    assert {"create", "patch", "delete"} <= read_rules(platform)["scoring.dev", "hardwareclasses"]
    assert not any("aggregate" in label for label in platform["metadata"]["labels"])
    assert "rbac.authorization.k8s.io/aggregate-to-view" not in edit["metadata"]["labels"]


def test_users_roles_stay_away_when_not_wanted(render: Render) -> None:
    manifests = render("--set", "rbac.aggregate=false")
    assert [body["metadata"]["name"] for body in manifests if body["kind"] == "ClusterRole"] == ["scoring-operator"]


def test_pod_satisfies_the_restricted_standard(manifests: list[Manifest]) -> None:
    pod, container = read_pod(manifests), read_container(manifests)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "volumes", "initContainers"}
    assert not any("hostPort" in port for port in container["ports"])


def test_pod_is_probed_on_the_health_port(render: Render) -> None:
    container = read_container(render("--set", "healthPort=9090"))
    assert container["ports"][0] == {"name": "health", "containerPort": 9090, "protocol": "TCP"}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": "health"}


def test_two_operators_run_and_one_is_always_left(manifests: list[Manifest]) -> None:
    deployment = pick(manifests, "Deployment")["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    budget = pick(manifests, "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    (spread,) = read_pod(manifests)["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
    labels = deployment["template"]["metadata"]["labels"].items()
    for selector in (deployment["selector"], budget["selector"], spread["labelSelector"]):
        assert selector["matchLabels"].items() <= labels


def test_number_of_operators_follows_the_value(render: Render) -> None:
    assert pick(render("--set", "replicas=1"), "Deployment")["spec"]["replicas"] == 1


def test_operators_stand_for_the_lease_that_they_may_write(render: Render) -> None:
    manifests = render("--set", "serviceAccount.name=mine")
    environment = read_environment(manifests)
    assert environment[f"{PREFIX}LEADER_ELECTION"] == "true"
    create, write = pick(manifests, "Role")["rules"]
    assert (create["resources"], create["verbs"], "resourceNames" in create) == (["leases"], ["create"], False)
    assert (write["resources"], write["verbs"]) == (["leases"], ["get", "update"])
    assert write["resourceNames"] == [environment[f"{PREFIX}LEASE_NAME"]]
    binding = pick(manifests, "RoleBinding")
    assert binding["roleRef"]["name"] == pick(manifests, "Role")["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "mine", "namespace": "scoring-system"}]
    assert {pick(manifests, kind)["metadata"]["namespace"] for kind in ("Role", "RoleBinding")} == {"scoring-system"}
    namespace = next(item for item in read_container(manifests)["env"] if item["name"] == f"{PREFIX}NAMESPACE")
    assert namespace["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}


def test_chart_sets_every_setting(manifests: list[Manifest]) -> None:
    named = {variable["name"] for variable in read_container(manifests)["env"]}
    assert named == {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def test_default_values_are_the_settings_own_defaults(
    manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in read_environment(manifests).items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.runtime_images.keys() == {"sklearn", "torch"}
    defaults = {name: field.default for name, field in Settings.model_fields.items() if not field.is_required()}
    assert {name: getattr(settings, name) for name in defaults} == defaults


def test_settings_follow_the_values(render: Render, monkeypatch: pytest.MonkeyPatch) -> None:
    # Helm reads numbers as floating point; large ones must not lose anything on their way.
    numbers = "workers=1000000,resyncSeconds=31536000,stuckSeconds=0.5"
    times = "leaderElection.durationSeconds=60,leaderElection.renewDeadlineSeconds=40,leaderElection.renewSeconds=7.5"
    manifests = render("--set-json", f"{numbers},{times}", "--set", "logFormat=plain,logLevel=error")
    for name, value in read_environment(manifests).items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert (settings.workers, settings.resync_seconds, settings.stuck_seconds) == (1_000_000, 31_536_000, 0.5)
    assert (settings.log_format, settings.log_level) == ("plain", "error")
    assert (settings.lease_duration_seconds, settings.lease_renew_deadline_seconds) == (60, 40.0)
    assert (settings.lease_renew_seconds, settings.lease_retry_seconds) == (7.5, 1.0)


def test_routes_follow_the_values(render: Render, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = {"name": "public", "namespace": "infra", "sectionName": "https", "redirectSectionName": "http"}
    issuer = {"name": "letsencrypt", "kind": "ClusterIssuer"}
    routes = {"ingressClassName": "nginx", "ingressAnnotations": {"a": "b"}, "gateway": gateway, "issuer": issuer}
    for name, value in read_environment(render("--set-json", f"routes={json.dumps(routes)}")).items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert (settings.ingress_class_name, settings.ingress_annotations) == ("nginx", {"a": "b"})
    assert settings.gateway is not None
    assert settings.gateway.model_dump(by_alias=True) == gateway
    assert settings.issuer is not None
    assert settings.issuer.model_dump(by_alias=True) == {**issuer, "group": "cert-manager.io"}


def test_image_goes_by_digest_when_one_is_given(render: Render) -> None:
    digest = f"sha256:{'0' * 64}"
    container = read_container(render("--set", f"image.digest={digest},image.tag=1.2.3"))
    assert container["image"] == f"registry.example.com/scoring-operator@{digest}"


def test_image_tag_of_digits_stays_a_tag(render: Render) -> None:
    container = read_container(render("--set-string", "image.tag=123456789012"))
    assert container["image"] == "registry.example.com/scoring-operator:123456789012"


def test_placement_reaches_the_pod(render: Render) -> None:
    values = {
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "system-cluster-critical",
        "imagePullSecrets": [{"name": "registry"}],
    }
    pod = read_pod(render(*(f"--set-json={name}={json.dumps(value)}" for name, value in values.items())))
    assert {name: pod[name] for name in values} == values


def test_annotations_reach_the_pod(render: Render) -> None:
    template = pick(render("--set", "podAnnotations.team=ml,podLabels.team=ml"), "Deployment")["spec"]["template"]
    assert template["metadata"]["annotations"]["team"] == "ml"
    assert template["metadata"]["labels"]["team"] == "ml"


def test_hardware_classes_are_valid_and_survive_the_chart(manifests: list[Manifest]) -> None:
    bodies = [body for body in manifests if body["kind"] == "HardwareClass"]
    assert all(body["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for body in bodies)
    classes = {
        hardware.name: hardware.spec
        for hardware in (HardwareClass.parse({**body, "metadata": {**body["metadata"], "uid": "-"}}) for body in bodies)
    }
    assert {name for name, spec in classes.items() if spec.default} == {"cpu"}
    assert {name for name, spec in classes.items() if spec.accelerator} == {"gpu"}


def test_hardware_classes_are_left_to_the_user_when_emptied(render: Render) -> None:
    assert not [body for body in render("--set-json", "hardwareClasses=[]") if body["kind"] == "HardwareClass"]


def test_crds_are_not_rendered_a_second_time(manifests: list[Manifest]) -> None:
    assert not [body for body in manifests if body["kind"] == "CustomResourceDefinition"]
