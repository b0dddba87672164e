"""The command line and a model with API keys in real pods, reached only inside the cluster. The tests are one story, in this order."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from command_line import Scoring
from packaged_samples import PackagedSample
from scoring_models import ScoringModels

QUESTION = "how can i get rid of one element of an array"


@pytest.fixture(scope="module")
def served(models: ScoringModels, scoring: Scoring, faq: PackagedSample, client_key: Path) -> str:
    """Have `init` and `apply --wait` serve the FAQ; return what progress was told."""
    del client_key
    uri = faq.body["spec"]["model"]["uri"]
    written = scoring_init(faq, uri)
    done = scoring("apply", "-f", "-", "--wait", "--timeout", "3m", "-o", "json", stdin=written)
    assert done.status == 0, done.stderr
    assert models.find_ready("faq")["status"] == "True"
    return done.stderr


def scoring_init(faq: PackagedSample, uri: str) -> str:
    """Return the ScoringModel as the installed program writes it."""
    program = str(Path(sys.executable).with_name("scoring"))
    options = ("--uri", uri, "--name", "faq", "--hardware-class", "e2e-small", "--keys-secret", "faq-keys")
    words = [program, "init", str(faq.archive), *options]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return done.stdout


def test_progress_is_told_until_the_model_serves(served: str) -> None:
    lines = served.splitlines()
    assert "Serving: 1 of 1 replicas ready" in lines[-1]
    assert any("RollingOut" in line for line in lines)


def test_question_is_answered_through_the_api_servers_proxy(served: str, scoring: Scoring, client_key: Path) -> None:
    del served
    done = scoring("score", "faq", "--text", QUESTION, "--key-file", client_key)
    assert done.status == 0, done.stderr
    assert "through the API server's proxy of Service faq" in done.stderr
    assert "PROBABILITY" in done.stdout
    assert "█" in done.stdout


def test_key_is_read_from_a_secret(served: str, scoring: Scoring, client_key: Path) -> None:
    del served
    done = scoring("score", "faq", "--text", QUESTION, "--key-secret", "client", "-o", "json")
    assert done.status == 0, done.stderr
    assert len(done.json["result"][0]) == 3
    assert client_key.read_text() not in done.stdout + done.stderr


def test_missing_key_is_told_in_the_runtimes_words(served: str, scoring: Scoring) -> None:
    del served
    done = scoring("score", "faq", "--text", QUESTION)
    assert done.status == 6
    assert "401 Unauthorized" in done.stderr


def test_endpoints_own_secret_holds_no_key(served: str, scoring: Scoring) -> None:
    del served
    done = scoring("score", "faq", "--text", QUESTION, "--key-secret", "faq-keys/shop")
    assert done.status == 2
    assert "hash" in done.stderr


def test_tree_shows_the_pod_on_its_node(served: str, scoring: Scoring) -> None:
    del served
    tree = scoring("status", "faq").stdout
    assert "✓ Deployment faq  1 of 1 replicas ready" in tree
    assert "ready, on " in tree


def test_logs_of_the_replica_are_printed_with_its_name(served: str, models: ScoringModels, scoring: Scoring) -> None:
    del served
    (pod,) = models.kubectl.list("pods", "-l", "scoring.dev/model=faq")
    text = scoring("logs", "faq")
    assert text.status == 0, text.stderr
    assert all(line.startswith(pod["metadata"]["name"]) for line in text.stdout.splitlines())
    lines = scoring("logs", "faq", "--tail", "50", "-o", "json").stdout
    assert '"event": "ready"' in lines
    assert scoring("logs", "faq", "--fetch").status == 3  # An artifact in a claim is not fetched.


def test_load_through_the_api_server_is_only_made_when_accepted(
    served: str, scoring: Scoring, client_key: Path
) -> None:
    del served
    done = scoring("load", "faq", "--text", QUESTION, "--key-file", client_key)
    assert done.status == 2
    assert "--through-api-server" in done.stderr


def test_load_is_measured_at_each_number_of_replicas_and_the_old_one_put_back(
    served: str, models: ScoringModels, scoring: Scoring, client_key: Path, tmp_path: Path
) -> None:
    del served
    done = scoring(
        "load", "faq", "--text", QUESTION, "--key-file", client_key, "--replicas", "2,1", "--concurrency", "1,4", "--duration", "2s",
        "--through-api-server", "--plot", tmp_path / "faq.svg", "-o", "json",
    )  # fmt: skip
    assert done.status == 0, done.stderr
    assert [(level["replicas"], level["clients"]) for level in done.json] == [(2, 1), (2, 4), (1, 1), (1, 4)]
    assert all(level["answered"] > 0 and level["errors"] == {} for level in done.json)
    assert (tmp_path / "faq.svg").stat().st_size > 0
    assert models.kubectl.get("scoringmodel", "faq")["spec"]["replicas"] == 1


def test_wrong_digest_is_told_by_apply_and_status(scoring: Scoring, faq: PackagedSample) -> None:
    body = yaml.safe_load(scoring_init(faq, faq.body["spec"]["model"]["uri"]))
    body["metadata"]["name"] = "wrong"
    body["spec"]["model"]["digest"] = f"sha256:{'0' * 64}"
    body["spec"].pop("endpoint")
    done = scoring("apply", "-f", "-", "--wait", "--timeout", "2m", stdin=yaml.safe_dump(body))
    assert done.status == 4
    assert "DigestMismatch" in done.stderr
    tree = scoring("status", "wrong").stdout
    assert "✗ Pod wrong-" in tree
    assert faq.digest in tree
