"""What the chart's values make of the operator's pods, beside its settings."""

import json
from typing import Any

from helm_chart import Manifest, Render


def read_deployment(manifests: list[Manifest]) -> Manifest:
    """Return the operator's Deployment."""
    (deployment,) = (body for body in manifests if body["kind"] == "Deployment")
    return deployment


def read_policy(manifests: list[Manifest]) -> Manifest | None:
    """Return the specification of the operator's NetworkPolicy, or None when there is none."""
    return next((body["spec"] for body in manifests if body["kind"] == "NetworkPolicy"), None)


def set_json(**values: Any) -> list[str]:
    """Return helm's arguments for some values."""
    return [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]


def test_operator_has_no_network_policy_unless_asked_for(manifests: list[Manifest]) -> None:
    assert read_policy(manifests) is None


def test_operator_reaches_the_api_server_alone_and_is_reached_by_nobody(render: Render) -> None:
    manifests = render("--set", "networkPolicy.enabled=true")
    labels = read_deployment(manifests)["spec"]["template"]["metadata"]["labels"]
    policy = read_policy(manifests)
    assert policy is not None
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert (policy["policyTypes"], policy["ingress"]) == (["Ingress", "Egress"], [])
    assert policy["egress"] == [{"ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 6443}]}]


def test_network_policy_lets_in_and_out_whom_the_values_name(render: Render) -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    extra = [{"ports": [{"protocol": "UDP", "port": 53}]}]
    api_server = {"ports": [8443], "cidrs": ["10.0.0.1/32", "fd00::1/128"]}
    values = {"enabled": True, "ingressFrom": peers, "apiServer": api_server, "extraEgress": extra}
    policy = read_policy(render(*set_json(networkPolicy=values)))
    assert policy is not None
    (ingress,) = policy["ingress"]
    assert ingress["from"] == peers
    assert [port["port"] for port in ingress["ports"]] == ["health", "metrics"]
    assert policy["egress"] == [
        {
            "ports": [{"protocol": "TCP", "port": 8443}],
            "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}, {"ipBlock": {"cidr": "fd00::1/128"}}],
        },
        *extra,
    ]


def test_spread_without_a_selector_is_that_of_the_operators_pods(render: Render) -> None:
    spread = {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
    own = {**spread, "labelSelector": {"matchLabels": {"team": "ml"}}}
    deployment = read_deployment(render(*set_json(topologySpreadConstraints=[spread, own])))
    filled, kept = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert filled["labelSelector"] == deployment["spec"]["selector"]
    assert kept["labelSelector"] == own["labelSelector"]
    assert filled["topologyKey"] == "topology.kubernetes.io/zone"


def test_user_can_be_left_to_the_cluster(render: Render) -> None:
    context = {"runAsUser": None, "runAsGroup": None}
    pod = read_deployment(render(*set_json(podSecurityContext=context)))["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_further_variables_come_after_the_settings(render: Render) -> None:
    variables = [
        {"name": "HTTPS_PROXY", "value": "http://proxy:3128"},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]
    (container,) = read_deployment(render(*set_json(extraEnv=variables)))["spec"]["template"]["spec"]["containers"]
    assert container["env"][-2:] == variables


def test_labels_and_annotations_reach_all_objects(render: Render) -> None:
    manifests = render(*set_json(commonLabels={"team": "ml"}, deploymentAnnotations={"a": "b"}))
    assert all(body["metadata"]["labels"]["team"] == "ml" for body in manifests)
    assert read_deployment(manifests)["metadata"]["annotations"] == {"a": "b"}


def test_name_is_the_given_one_for_everything_but_the_classes(render: Render) -> None:
    manifests = render("--set", "fullnameOverride=scoring")
    names = {body["metadata"]["name"] for body in manifests if body["kind"] != "HardwareClass"}
    assert all(name == "scoring" or name.startswith("scoring-") for name in names)
    assert not any("operator" in name for name in names)
