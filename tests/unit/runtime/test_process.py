"""The runtime as it runs in a container: a process of its own, its probes, signals and end."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import grpc
import httpx
import joblib
import pytest

from free_ports import find_free_port
from local_clusters import ROOT
from runtime_processes import Runtime, is_listening
from scoring_runtime.artifacts.digests import compute_digest
from scoring_runtime.protocols import MAX_DISCARDED_BYTES
from scoring_runtime.protocols import open_inference_pb2 as messages
from tensor_models import TABLE_EXAMPLE, write_artifact

QUESTION = {"input": "How do I copy an array?"}

# A model that waits until someone writes into a named pipe: no test has to guess how long anything takes.
WAITING_MODEL = """
import os
import numpy as np

class WaitingModel:
    def __init__(self, folder):
        self.folder = folder

    def predict_proba(self, pairs):
        if pairs.Text_x.iloc[0] == "wait":
            with open(os.path.join(self.folder, "started"), "w"):
                pass
            with open(os.path.join(self.folder, "go")):
                pass
        return np.full((len(pairs), 2), 0.5)

class WaitingToLoad:
    def __init__(self, folder):
        self.folder = folder

    def __setstate__(self, state):
        self.__dict__ = state
        with open(os.path.join(self.folder, "go")):
            pass

    def predict_proba(self, pairs):
        return np.full((len(pairs), 2), 0.5)
"""


StartRuntime = Callable[..., Runtime]


@pytest.fixture
def termination_log(tmp_path: Path) -> Path:
    return tmp_path / "termination-log"


@pytest.fixture
def start_runtime(tmp_path: Path, termination_log: Path) -> Iterator[StartRuntime]:
    started = []

    def start(uri: str, **variables: str) -> Runtime:
        base = {"SCORING_MODEL_URI": uri, "SCORING_WORK_DIR": str(tmp_path / "work"), "SCORING_DRAIN_SECONDS": "0"}
        base["SCORING_TERMINATION_LOG"] = str(termination_log)
        runtime = Runtime({**base, **variables})
        started.append(runtime)
        return runtime

    yield start
    for runtime in started:
        runtime.end()


@pytest.fixture
def waiting_model(joblib_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Replace the model of an artifact by one that waits, and return its folder; the pipes lie beside it."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "waiting_model.py").write_text(WAITING_MODEL)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(modules), *sys.path[1:]]))
    monkeypatch.syspath_prepend(str(modules))
    os.mkfifo(tmp_path / "started")
    os.mkfifo(tmp_path / "go")

    def make(class_name: str) -> Path:
        module: Any = __import__("waiting_model")
        joblib.dump(getattr(module, class_name)(str(tmp_path)), joblib_folder / "pipeline.joblib")
        return joblib_folder

    return make


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
def test_clients_are_served_over_ipv6_too(start_runtime: StartRuntime, faq_folder: Path) -> None:
    runtime = start_runtime(faq_folder.as_uri())
    runtime.wait_for_log("ready")
    assert httpx.get(f"http://[::1]:{runtime.port}/readyz", trust_env=False).status_code == 200


def test_a_served_model_scores_until_sigterm_and_exits_with_zero(start_runtime: StartRuntime, faq_folder: Path) -> None:
    runtime = start_runtime(faq_folder.as_uri())
    runtime.wait_for_log("ready")

    assert runtime.client.get("/readyz").status_code == 200
    answer = runtime.client.post("/score", json=QUESTION)
    assert answer.status_code == 200
    assert answer.json()["result"][0][0][:2] == [1, "a1"]

    runtime.process.send_signal(signal.SIGTERM)
    assert runtime.wait() == 0


def test_sighup_is_ignored_and_sigint_drains(start_runtime: StartRuntime, faq_folder: Path) -> None:
    runtime = start_runtime(faq_folder.as_uri(), SCORING_DRAIN_SECONDS="2")
    runtime.wait_for_log("ready")
    runtime.process.send_signal(signal.SIGHUP)
    runtime.process.send_signal(signal.SIGINT)

    runtime.wait_for(lambda: runtime.client.get("/readyz").status_code == 503)
    assert runtime.client.post("/score", json=QUESTION).status_code == 200
    assert runtime.wait() == 0


def test_the_server_answers_probes_while_the_model_is_loading(
    start_runtime: StartRuntime, waiting_model: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = waiting_model("WaitingToLoad")
    runtime = start_runtime(folder.as_uri(), SCORING_MODEL_DIGEST=compute_digest(folder))
    runtime.wait_for_log("the model is being loaded")
    runtime.wait_for_server()

    assert runtime.client.get("/healthz").status_code == 200
    for answer in (runtime.client.get("/readyz"), runtime.client.post("/score", json=QUESTION)):
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"
        assert answer.json()["error"] == {
            "code": "NotReady",
            "message": "Not ready: the model is being loaded. Try again later.",
        }
    assert runtime.client.get("/version").json()["model"] is None

    (tmp_path / "go").write_text("")
    runtime.wait_for_log("ready")
    assert runtime.client.get("/readyz").status_code == 200


def test_sigterm_during_a_request_answers_it_and_says_not_ready_meanwhile(
    start_runtime: StartRuntime, waiting_model: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = waiting_model("WaitingModel")
    digest = compute_digest(folder)
    runtime = start_runtime(folder.as_uri(), SCORING_MODEL_DIGEST=digest, SCORING_DRAIN_SECONDS="2")
    runtime.wait_for_log("ready")
    with ThreadPoolExecutor() as pool:
        running = pool.submit(httpx.post, f"http://127.0.0.1:{runtime.port}/score", json={"input": "wait"}, timeout=60)
        (tmp_path / "started").read_text()
        runtime.process.send_signal(signal.SIGTERM)

        runtime.wait_for(lambda: runtime.client.get("/readyz").status_code != 200)
        answer = runtime.client.get("/readyz")
        assert answer.json()["error"]["code"] == "NotReady"
        assert "stopping" in answer.json()["error"]["message"]
        assert runtime.client.get("/healthz").status_code == 200

        # Let it finish only when the server no longer listens: the request outlives the drain time.
        runtime.wait_for(lambda: not is_listening(runtime.port))
        threading.Thread(target=(tmp_path / "go").write_text, args=("",)).start()
        assert running.result().status_code == 200
    assert runtime.wait() == 0


def test_requests_that_go_on_long_after_the_drain_are_answered_and_logged(
    start_runtime: StartRuntime, tmp_path: Path
) -> None:
    """Both over HTTP and gRPC: whatever wakes the process until then must not stop it, and the log is closed last."""
    artifact = write_artifact(tmp_path / "model", "Sleeper", example=TABLE_EXAMPLE)
    port = find_free_port()
    path = os.pathsep.join([str(ROOT / "tests" / "support"), os.environ.get("PYTHONPATH", "")])
    variables = {"PYTHONPATH": path, "SCORING_DRAIN_SECONDS": "0", "SCORING_GRPC_PORT": str(port)}
    runtime = start_runtime(artifact.as_uri(), SCORING_MODEL_NAME="model", **variables)
    runtime.wait_for_log("ready")
    runtime.wait_for_server()
    row = messages.InferTensorContents(fp64_contents=[15, 0, 0, 1])
    features = messages.ModelInferRequest.InferInputTensor(name="features", datatype="FP64", shape=[1, 4], contents=row)
    request = messages.ModelInferRequest(model_name="model", inputs=[features]).SerializeToString()
    url = f"http://127.0.0.1:{runtime.port}/score"
    with ThreadPoolExecutor() as pool, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        over_http = pool.submit(httpx.post, url, json={"input": [[40, 0, 0, 1]]}, timeout=30)
        runtime.wait_for(lambda: "scoring_requests_in_flight 1.0" in runtime.client.get("/metrics").text)
        over_grpc = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer").future(request, timeout=30)
        runtime.wait_for(lambda: "scoring_requests_in_flight 2.0" in runtime.client.get("/metrics").text)
        runtime.process.send_signal(signal.SIGTERM)
        assert over_http.result().status_code == 200
        assert over_grpc.result()
    assert runtime.wait() == 0
    lines = [json.loads(line) for line in runtime.log]
    assert [(line["protocol"], line["status"]) for line in lines if line["event"] == "request"] == [
        ("score", 200),
        ("open-inference-grpc", 200),
    ]


def test_clients_that_keep_their_connection_are_sent_elsewhere_while_the_server_drains(
    start_runtime: StartRuntime, faq_folder: Path
) -> None:
    runtime = start_runtime(faq_folder.as_uri(), SCORING_DRAIN_SECONDS="3")
    runtime.wait_for_log("ready")
    assert "connection" not in runtime.client.post("/score", json=QUESTION).headers
    runtime.process.send_signal(signal.SIGTERM)
    runtime.wait_for(lambda: runtime.client.get("/readyz").status_code != 200)
    answer = runtime.client.post("/score", json=QUESTION)
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert runtime.wait() == 0


def test_a_model_that_cannot_be_loaded_ends_the_process_with_a_termination_message(
    start_runtime: StartRuntime, faq_folder: Path, termination_log: Path
) -> None:
    runtime = start_runtime(faq_folder.as_uri(), SCORING_MODEL_DIGEST="sha256:" + "0" * 64)

    assert runtime.wait() == 1
    line = termination_log.read_text()
    assert line.count("\n") == 1
    message = json.loads(line)
    assert message["code"] == "DigestMismatch"
    assert compute_digest(faq_folder) in message["message"]
    assert all(json.loads(logged) for logged in runtime.log)


def test_a_bad_setting_ends_the_process_and_names_the_variable(
    start_runtime: StartRuntime, faq_folder: Path, termination_log: Path
) -> None:
    runtime = start_runtime(faq_folder.as_uri(), SCORING_THREADS="abc")

    assert runtime.wait() == 1
    assert json.loads(termination_log.read_text()) == {
        "code": "InvalidSettings",
        "message": "SCORING_THREADS is 'abc': input should be a valid integer, unable to parse string as an integer. "
        "Correct it in the container's environment.",
    }


def test_credentials_of_the_uri_appear_nowhere(start_runtime: StartRuntime, termination_log: Path) -> None:
    port = find_free_port()
    runtime = start_runtime(f"https://user:hunter2@127.0.0.1:{port}/model.tar?signature=hunter3")

    assert runtime.wait() == 1
    assert json.loads(termination_log.read_text())["code"] == "FetchFailed"
    everything = "".join(runtime.log) + termination_log.read_text()
    assert f"https://127.0.0.1:{port}/model.tar" in everything
    assert "hunter" not in everything


def find_worker(runtime: Runtime) -> int:
    runtime.wait_for_log("the model is being fetched and verified")
    children = Path(f"/proc/{runtime.process.pid}/task/{runtime.process.pid}/children").read_text().split()
    return int(children[-1])


def test_a_worker_that_is_killed_ends_the_process_with_one(start_runtime: StartRuntime, faq_folder: Path) -> None:
    runtime = start_runtime(faq_folder.as_uri())
    os.kill(find_worker(runtime), signal.SIGKILL)
    assert runtime.wait() == 1


def test_a_worker_ends_when_its_supervisor_is_killed(start_runtime: StartRuntime, faq_folder: Path) -> None:
    runtime = start_runtime(faq_folder.as_uri())
    worker = os.pidfd_open(find_worker(runtime))
    runtime.process.kill()

    # Readable once the process has ended.
    assert select.select([worker], [], [], 60)[0] == [worker]
    os.close(worker)


def count_refused(runtime: Runtime) -> float:
    found = re.search(r'requests_total{code="503",.*} (\S+)', runtime.client.get("/metrics").text)
    return float(found[1]) if found else 0.0


def test_bodies_that_trickle_in_hold_no_thread_that_answers_probes(
    start_runtime: StartRuntime, faq_folder: Path
) -> None:
    runtime = start_runtime(faq_folder.as_uri(), SCORING_MAX_QUEUE="1")
    runtime.wait_for_log("ready")
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
    with ExitStack() as stack:
        for _ in range(60):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", runtime.port)))
            client.sendall(head)
        # Two are inside, and eight of those refused may take their time; the others are answered at once.
        runtime.wait_for(lambda: count_refused(runtime) >= 50)
        assert runtime.client.get("/healthz").status_code == 200
    runtime.wait_for(lambda: runtime.client.post("/score", json=QUESTION).status_code == 200)


def send_raw(client: socket.socket, body: bytes) -> tuple[int, bytes]:
    """Send a whole request before reading any of its answer, as simple clients do."""
    head = f"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    client.sendall(head.encode() + body)
    answer = HTTPResponse(client)
    answer.begin()
    return answer.status, answer.read()


def test_a_client_that_sends_all_of_a_large_body_first_reads_its_refusal_and_may_ask_again(
    start_runtime: StartRuntime, waiting_model: Callable[[str], Path]
) -> None:
    folder = waiting_model("WaitingToLoad")
    runtime = start_runtime(folder.as_uri(), SCORING_MODEL_DIGEST=compute_digest(folder))
    runtime.wait_for_log("the model is being loaded")
    runtime.wait_for_server()
    # More than the HTTP server reads by itself: were the body not read, the connection would be reset or closed.
    body = json.dumps(QUESTION).encode().ljust(MAX_DISCARDED_BYTES)
    with socket.create_connection(("127.0.0.1", runtime.port), timeout=60) as client:
        for _ in range(2):
            status, answer = send_raw(client, body)
            assert status == 503
            assert json.loads(answer)["error"]["code"] == "NotReady"


# The report is made on the loading thread, whose exceptions would end nothing but the thread.
UNREPORTABLE = """
import threading
from scoring_runtime import worker

def fail(*_arguments):
    raise ValueError("no report")

worker.load_model = worker.report_failure = fail
threading.Thread(target=worker._load_or_exit, args=(worker._Parts(Settings(model_uri="file:///x"), None, None, None),)).start()
threading.Event().wait()
"""


def test_a_worker_ends_although_its_failure_cannot_be_reported() -> None:
    program = "from scoring_runtime.settings import Settings" + UNREPORTABLE
    ended = subprocess.run([sys.executable, "-c", program], check=False, timeout=60, capture_output=True)
    assert ended.returncode == 1
