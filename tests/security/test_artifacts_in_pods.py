"""Artifacts in a real S3 server, fetched by real pods: who holds the credentials, and what is told when fetching fails."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from artifact_stores import BUCKET, S3_KEYS, Server, open_s3, put_files, run_s3
from endpoints import ask
from kubectl import Kubectl, Manifest
from local_clusters import open_kubectl, run_local_cluster
from packaged_samples import run_sample
from samples.demo.clusters import Cluster
from samples.demo.install import install_operator
from scoring_models import ScoringModels, open_namespace

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a real node needs root")

QUESTION = "how do i remove one thing from an array"
SMALL = {"resources": {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "2Gi"}}}


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Kubectl:
    """Return kubectl, with the operator installed and a small hardware class."""
    install_operator(cluster, ["sklearn"])
    kubectl = open_kubectl(cluster)
    kind = {"apiVersion": "scoring.dev/v1beta1", "kind": "HardwareClass"}
    kubectl.apply({**kind, "metadata": {"name": "e2e-small"}, "spec": SMALL})
    return kubectl


@pytest.fixture(scope="module")
def digest(s3: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Put a trained FAQ into the bucket, as a folder; return its digest, by the shell command of docs/artifacts.md."""
    folder = tmp_path_factory.mktemp("faq")
    faq = run_sample("-m", "samples.faq", "train", "--output", str(folder))
    unpacked = folder / "unpacked"
    unpacked.mkdir()
    subprocess.run(["tar", "-xf", faq["archive"], "-C", unpacked], check=True)
    files = {str(path.relative_to(unpacked)): path.read_bytes() for path in unpacked.rglob("*") if path.is_file()}
    put_files(open_s3(s3), {f"faq/{name}": content for name, content in files.items()})
    command = (
        "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs -r -d '\\n' sha256sum -- | sha256sum | cut -d ' ' -f 1"
    )
    return (
        "sha256:"
        + subprocess.run(["sh", "-c", command], cwd=unpacked, check=True, capture_output=True, text=True).stdout.strip()
    )


@pytest.fixture(scope="module")
def s3(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield an S3 server at an address that pods reach."""
    del cluster
    address = json.loads(run_local_cluster("status", "--output", "json"))["hostAddress"]
    with run_s3(tmp_path_factory.mktemp("s3"), address) as server:
        yield server


@pytest.fixture(scope="module")
def models(kubectl: Kubectl, s3: Server) -> Iterator[ScoringModels]:
    """Yield the ScoringModels of a namespace under the restricted pod security standard, with a Secret for the S3 server."""
    with open_namespace(kubectl, "artifacts") as models:
        namespace = models.kubectl.namespace
        kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
        literals = [f"--from-literal={key}={value}" for key, value in S3_KEYS.items()]
        models.kubectl("create", "secret", "generic", "s3", *literals, f"--from-file=ca.crt={s3.authority}")
        yield models


def build_source(s3: Server, **more: object) -> Manifest:
    source = {"uri": f"s3://{BUCKET}/faq/", "format": "sklearn", "endpoint": s3.url, "sizeLimit": "1Gi"}
    return {**source, "credentials": {"secretName": "s3"}, **more}


def test_folder_from_s3_is_served_by_a_container_without_credentials(
    models: ScoringModels, s3: Server, digest: str
) -> None:
    models.apply("faq", model=build_source(s3, digest=digest), hardwareClass="e2e-small", network={})
    models.wait_until_ready("faq", timeout_seconds=240)
    assert ask(models.kubectl, "faq", QUESTION)
    (pod,) = models.kubectl.list("pods", "-l", "scoring.dev/model=faq")
    name = pod["metadata"]["name"]

    def run(script: str) -> str:
        return models.kubectl("exec", name, "--container", "runtime", "--", "sh", "-c", script)

    # Whatever this container can read, its own environment and processes included, holds no credential.
    secrets = "|".join(S3_KEYS.values())
    search = f"grep -rlsE '{secrets}' /etc /var /tmp /mnt /run /home /opt/application /proc/[0-9]*/environ || true"
    assert run(search) == ""
    assert run("ls /etc/scoring 2>&1 || true").strip().endswith("No such file or directory")
    assert "AWS_" not in run("env")
    assert run("python -c 'import obstore' 2>&1 || true").strip().endswith("No module named 'obstore'")
    assert "Read-only file system" in run("touch /var/lib/scoring/x 2>&1 || true")
    everything = models.kubectl("logs", name, "--all-containers") + models.kubectl(
        "get", "scoringmodel,pod,event", "-o", "yaml"
    )
    assert not [value for value in S3_KEYS.values() if value in everything]


def test_wrong_key_is_told_in_the_condition(models: ScoringModels, s3: Server) -> None:
    wrong = {**S3_KEYS, "AWS_SECRET_ACCESS_KEY": "wrong-of-the-tests"}
    literals = [f"--from-literal={key}={value}" for key, value in wrong.items()]
    models.kubectl("create", "secret", "generic", "wrong", *literals, f"--from-file=ca.crt={s3.authority}")
    models.apply("denied", model=build_source(s3, credentials={"secretName": "wrong"}), hardwareClass="e2e-small")
    message = models.wait_for_reason("AccessDenied", "denied", timeout_seconds=120)["message"]
    assert message.startswith(f"s3://{BUCKET}/faq/ is refused: the server answered 403 Forbidden")
    conditions = models.kubectl.get("scoringmodel", "denied")["status"]["conditions"]
    assert [condition["type"] for condition in conditions] == ["Ready", "Stalled"]


def test_missing_key_is_named(models: ScoringModels, s3: Server) -> None:
    models.kubectl("create", "secret", "generic", "half", "--from-literal=AWS_ACCESS_KEY_ID=x")
    models.apply("half", model=build_source(s3, credentials={"secretName": "half"}), hardwareClass="e2e-small")
    message = models.wait_for_reason("CredentialsMissing", "half", timeout_seconds=120)["message"]
    assert message == "The Secret half has no AWS_SECRET_ACCESS_KEY. Add what s3:// needs."


def test_artifact_larger_than_its_limit_is_refused(models: ScoringModels, s3: Server) -> None:
    models.apply("large", model=build_source(s3, sizeLimit="1Ki"), hardwareClass="e2e-small")
    message = models.wait_for_reason("ArtifactTooLarge", "large", timeout_seconds=120)["message"]
    assert "has more than 1024 bytes: raise spec.model.sizeLimit" in message


def test_signature_of_another_key_is_refused(models: ScoringModels, s3: Server, tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / "key.pem"], check=True, capture_output=True
    )
    public = subprocess.run(
        ["openssl", "pkey", "-in", tmp_path / "key.pem", "-pubout"], check=True, capture_output=True, text=True
    ).stdout
    signature = {"publicKey": public, "value": "A" * 86 + "=="}
    models.apply("forged", model=build_source(s3, signature=signature), hardwareClass="e2e-small")
    models.wait_for_reason("SignatureInvalid", "forged", timeout_seconds=120)


def test_secret_that_is_missing_is_told_and_picked_up_once_it_is_there(
    models: ScoringModels, s3: Server, digest: str
) -> None:
    source = build_source(s3, digest=digest, credentials={"secretName": "later"})
    models.apply("late-secret", model=source, hardwareClass="e2e-small")
    message = models.wait_for_reason("CredentialsMissing", "late-secret", timeout_seconds=120)["message"]
    assert message == (
        "The Secret later does not exist or is empty: create it with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or correct "
        "spec.model.credentials."
    )
    (pod,) = models.kubectl.list("pods", "-l", "scoring.dev/model=late-secret")
    literals = [f"--from-literal={key}={value}" for key, value in S3_KEYS.items()]
    models.kubectl("create", "secret", "generic", "later", *literals, f"--from-file=ca.crt={s3.authority}")
    models.wait_until_ready("late-secret", timeout_seconds=300)
    (same,) = models.kubectl.list("pods", "-l", "scoring.dev/model=late-secret")
    assert same["metadata"]["uid"] == pod["metadata"]["uid"]
