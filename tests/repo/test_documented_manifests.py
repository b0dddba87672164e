"""Each manifest of ours in a document is one that the API server would take: whole ones, and fragments that show one field.

By the CRDs' schemas, unknown fields refused, and by the operator's own models. CEL rules are the API server's (tests/integration).
"""

import jsonschema
import pytest

from crd_schemas import build_strict_schema
from documented_manifests import find_manifests
from kubectl import Manifest
from scoring_operator.api import API_VERSION, HardwareClass, ScoringModel

PLURALS = {"ScoringModel": "scoringmodels", "HardwareClass": "hardwareclasses"}
SCHEMAS = {kind: build_strict_schema(plural) for kind, plural in PLURALS.items()}
MODELS = {"ScoringModel": ScoringModel, "HardwareClass": HardwareClass}
FOUND = [pytest.param(body, id=name) for name, body in find_manifests().items()]


@pytest.mark.parametrize("body", FOUND)
def test_manifest_in_a_document_is_one_that_the_crd_takes(body: Manifest) -> None:
    jsonschema.Draft202012Validator(SCHEMAS[body["kind"]]).validate(body)


@pytest.mark.parametrize("body", FOUND)
def test_manifest_in_a_document_is_one_that_the_operator_reads(body: Manifest) -> None:
    MODELS[body["kind"]].parse({**body, "metadata": {**body["metadata"], "uid": "-"}})


@pytest.mark.parametrize(
    ("change", "said"),
    [({"replica": 2}, "'replica' was unexpected"), ({"replicas": -1}, "less than the minimum")],
    ids=["unknown", "negative"],
)
def test_strict_schema_refuses_what_kubectl_apply_would(change: Manifest, said: str) -> None:
    body = {"apiVersion": API_VERSION, "kind": "ScoringModel", "metadata": {"name": "faq"}}
    body["spec"] = {"model": {"uri": "pvc://models/faq.tar"}, **change}
    with pytest.raises(jsonschema.ValidationError, match=said):
        jsonschema.validate(body, SCHEMAS["ScoringModel"])
