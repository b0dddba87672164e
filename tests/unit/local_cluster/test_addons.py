"""What the add-ons are given: definitions, rights, ports and configuration."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_cluster import definitions
from local_cluster.addresses import BRIDGE_ADDRESS, LOOPBACK
from local_cluster.errors import ProgramUnavailable
from local_cluster.karpenter import render_instance_types
from local_cluster.keda import render_api
from local_cluster.ports import ADDON_PORTS
from local_cluster.processes import ADDONS
from local_cluster.prometheus import POD_ADDRESSES, render_configuration
from local_cluster.releases import ADDON_PROGRAMS
from local_cluster.state import REPOSITORY
from local_cluster.traefik import NAME, RULES, render_objects

DEFINITION = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: routes.example}\n"


def test_every_program_of_an_add_on_has_a_port_and_is_known_as_a_process() -> None:
    programs = {program for names in ADDON_PROGRAMS.values() for program in names}
    assert programs == set(ADDONS)
    assert programs == {name.partition("/")[0] for names in ADDON_PORTS.values() for name in names}


def test_api_of_external_metrics_leads_to_the_adapter_and_trusts_the_cluster_only(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("authority")
    service, api = render_api(tmp_path / "ca.crt", 21033)["items"]
    assert service["spec"] == {"type": "ExternalName", "externalName": "localhost"}
    assert api["spec"]["service"] == {**{key: service["metadata"][key] for key in ("name", "namespace")}, "port": 21033}
    assert base64.b64decode(api["spec"]["caBundle"]) == b"authority"
    assert "insecureSkipTLSVerify" not in api["spec"]


def test_nodes_with_and_without_gpus_can_be_had() -> None:
    gpus = [kind["resources"].get("nvidia.com/gpu", "0") for kind in render_instance_types()]
    assert {"0", "1"} <= set(gpus)


def test_prometheus_asks_pods_of_this_machine_that_ask_for_it(tmp_path: Path) -> None:
    pods, files = render_configuration(tmp_path, tmp_path / "kubeconfig")["scrape_configs"]
    kept = {rule["source_labels"][0]: rule["regex"] for rule in pods["relabel_configs"] if rule.get("action") == "keep"}
    assert kept["__meta_kubernetes_pod_annotation_prometheus_io_scrape"] == "true"
    assert kept["__meta_kubernetes_pod_ip"] == POD_ADDRESSES
    asked = [address for address in (BRIDGE_ADDRESS, LOOPBACK, "10.0.0.7") if re.fullmatch(POD_ADDRESSES, address)]
    assert asked == [BRIDGE_ADDRESS, LOOPBACK]
    assert files["file_sd_configs"] == [{"files": [f"{tmp_path}/targets/*.json"]}]


def test_prometheus_goes_by_the_charts_alerts(tmp_path: Path) -> None:
    (rules,) = render_configuration(tmp_path, tmp_path / "kubeconfig")["rule_files"]
    assert "alert: ScoringModelNotReady" in Path(rules).read_text()


def test_prometheus_names_a_models_pods_as_the_documented_configuration_does(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "autoscaling.md").read_text()
    block = re.search(r"```yaml\n(scrape_configs:.*?)```", text, re.DOTALL)
    assert block is not None
    [documented] = yaml.safe_load(block[1])["scrape_configs"]
    pods, _ = render_configuration(tmp_path, tmp_path / "kubeconfig")["scrape_configs"]
    assert read_targets(documented) == read_targets(pods)


def read_targets(job: dict[str, Any]) -> dict[str, list[str]]:
    """Return what each label of a scraped series is read from."""
    rules = [rule for rule in job["relabel_configs"] if "target_label" in rule]
    return {rule["target_label"]: rule["source_labels"] for rule in rules if rule["target_label"] != "__metrics_path__"}


def test_traefik_writes_nothing_but_status_and_its_classes_are_no_defaults() -> None:
    writing = {
        resource for rule in RULES if set(rule["verbs"]) - {"get", "list", "watch"} for resource in rule["resources"]
    }
    assert all(resource.endswith("/status") for resource in writing)
    metadata = [body["metadata"] for body in render_objects()["items"]]
    assert metadata == [{"name": NAME}] * 3


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a Go compiler names as any module's."""
    folder = tmp_path / "gateway-api"
    (folder / "config" / "crd" / "standard").mkdir(parents=True)
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(f"#!/bin/sh\ncat <<END\n{json.dumps({'Dir': str(folder)})}\nEND\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    return folder


def test_definitions_of_a_module_are_printed_and_nothing_else_of_it(module: Path) -> None:
    folder = module / "config" / "crd" / "standard"
    (folder / "routes.yaml").write_text(DEFINITION)
    (folder / "gateways.yaml").write_text(DEFINITION.replace("routes", "gateways"))
    (folder / "policy.yaml").write_text("kind: ValidatingAdmissionPolicy\n")
    text = definitions.read_definitions("gateway-api")
    assert [part.split("name: ")[1].strip("}\n") for part in text.split("---\n")] == [
        "gateways.example",
        "routes.example",
    ]


def test_labels_that_helm_would_fill_in_are_left_out(module: Path) -> None:
    folder = module / "deploy" / "crds"
    folder.mkdir(parents=True)
    label = "metadata:\n  name: issuers.example\n  labels:\n    app: '{{ .Release.Name }}'\n    tier: one\n"
    (folder / "issuers.yaml").write_text("kind: CustomResourceDefinition\n" + label)
    (body,) = yaml.safe_load_all(definitions.read_definitions("cert-manager"))
    assert body["metadata"] == {"name": "issuers.example", "labels": {"tier": "one"}}


def test_definitions_without_go_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ProgramUnavailable, match="needs Go"):
        definitions.read_definitions("gateway-api")


@pytest.mark.parametrize("source", definitions.SOURCES.values(), ids=definitions.SOURCES)
def test_modules_of_definitions_are_pinned(source: definitions.Source) -> None:
    folder = REPOSITORY / "local_cluster" / "tools" / source.tools
    pins = re.findall(rf"^\t{re.escape(source.module)} (v\S+)", (folder / "go.mod").read_text(), re.MULTILINE)
    assert len(pins) == 1
    assert f"{source.module} {pins[0]} h1:" in (folder / "go.sum").read_text()
