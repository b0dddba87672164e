"""The API server knows every field that is rendered: the operator's own writes ask it not to warn of others, which costs it a second parse."""

from pathlib import Path

import pytest
import yaml

from kubectl import Kubectl, KubectlError
from local_clusters import ROOT

GOLDEN = sorted((ROOT / "tests/unit/operator/golden").glob("*.yaml"))
FOREIGN = ("keda.sh/", "monitoring.coreos.com/", "gateway.networking.k8s.io/")
"""Groups whose CRDs other tests bring and take away."""


def dry_run(kubectl: Kubectl, text: str) -> None:
    """Have the API server check manifests field by field, without keeping them."""
    kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_rendered_children_have_known_fields_only(kubectl: Kubectl, file: Path) -> None:
    bodies = [body for body in yaml.safe_load_all(file.read_text()) if not body["apiVersion"].startswith(FOREIGN)]
    for body in bodies:
        body["metadata"]["namespace"] = kubectl.namespace
    dry_run(kubectl, yaml.safe_dump_all(bodies))


def test_unknown_field_would_be_found(kubectl: Kubectl) -> None:
    body = next(body for body in yaml.safe_load_all(GOLDEN[0].read_text()) if body["kind"] == "Deployment")
    body["metadata"]["namespace"] = kubectl.namespace
    body["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(KubectlError, match="livenesProbe"):
        dry_run(kubectl, yaml.safe_dump(body))
