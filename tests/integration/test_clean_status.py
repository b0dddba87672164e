"""What pods and the API server say of a model may hold secrets: neither its status nor its events nor the operator's log and metrics do."""

from typing import Any

import pytest

from operator_processes import OperatorProcess
from prometheus_servers import read_metrics
from scoring_models import ScoringModels
from waiting import wait_for

SECRET = "planted-9f2c"
WAITING: dict[str, Any] = {
    "ImagePullFailed": {"waiting": {"reason": "ErrImagePull", "message": f"GET https://u:{SECRET}@registry/v2/?token={SECRET}: 401 "}},
    "ContainerNotStarted": {"waiting": {"reason": "CreateContainerError", "message": f"env PASSWORD={SECRET}"}},
    "FetchFailed": {"terminated": {"exitCode": 1, "message": f'{{"code": "FetchFailed", "message": "Bearer {SECRET}"}}'}},
    "RuntimeFailed": {"terminated": {"exitCode": 1, "message": f"Traceback\nKeyError: api_key={SECRET}"}},
}  # fmt: skip


@pytest.mark.parametrize("reason", WAITING)
def test_what_a_pod_says_is_told_without_its_secrets(
    models: ScoringModels, operator: OperatorProcess, reason: str
) -> None:
    models.apply()
    models.wait_until_ready()
    own = models.kubectl
    (pod,) = own.list("pods", "-l", "scoring.dev/model=faq")
    container = {"name": "runtime", "image": "r", "imageID": "", "ready": False, "restartCount": 1}
    status = {
        "containerStatuses": [{**container, "state": WAITING[reason]}],
        "conditions": [{"type": "Ready", "status": "False"}],
    }
    own.patch("pod", pod["metadata"]["name"], {"status": status}, "--subresource=status")
    models.wait_for_reason(reason)
    wait_for(lambda: reason in own("get", "events", "-o", "json"), f"an event of {reason}")
    told = own("get", "events", "-o", "json") + own("get", "scoringmodels", "-o", "json") + operator.read_log()
    told += read_metrics(operator.metrics_port)
    assert SECRET not in told
    # The sentence itself came through: what was said is told, less the secret.
    assert models.find_ready()["message"]


def test_what_the_api_server_refuses_is_told_without_secrets(models: ScoringModels, operator: OperatorProcess) -> None:
    # A quota's name stands in the API server's words, and may be anything; so may what stands in a model's fields.
    env = [{"name": "DATABASE", "value": f"postgres://user:{SECRET}@db/faq"}]
    models.apply(runtime={"image": f"registry/{SECRET[:7]}:1 ", "env": env})
    wait_for(lambda: models.find_ready().get("status") is not None, "a status")
    condition = models.find_ready()
    events = models.kubectl("get", "events", "-o", "json")
    assert SECRET not in str(condition) + events + operator.read_log()
