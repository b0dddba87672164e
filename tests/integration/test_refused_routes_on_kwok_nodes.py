"""A route that a real API server refuses: by a quota, as a namespace's administrator sets one."""

from scoring_models import ScoringModels
from waiting import wait_for

NO_INGRESSES = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "no-ingresses"},
    "spec": {"hard": {"count/ingresses.networking.k8s.io": "0"}},
}


def find_reason(models: ScoringModels) -> str | None:
    condition = models.find_condition("RouteReady")
    return str(condition["reason"]) if condition else None


def test_model_over_the_quota_of_ingresses_serves_and_gets_its_route_once_it_may(models: ScoringModels) -> None:
    models.kubectl.apply(NO_INGRESSES)
    models.apply(endpoint={"host": f"{models.kubectl.namespace}.example.com"})
    models.wait_until_ready()
    wait_for(lambda: find_reason(models) == "RouteRefused", "the refusal")
    assert models.find_ready()["status"] == "True"
    models.kubectl("delete", "resourcequota", "no-ingresses")
    wait_for(lambda: models.kubectl.find("ingress", "faq"), "the Ingress")
    wait_for(lambda: find_reason(models) != "RouteRefused", "another reason")
