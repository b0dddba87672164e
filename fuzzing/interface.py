"""A real runtime process asked by schemathesis what its own OpenAPI document promises: no server error, and no answer that is not in it."""

import json
import subprocess
import sys
import tempfile
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime_processes import Runtime

CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
REQUEST_SECONDS = 20
GRACE_SECONDS = 120
"""What schemathesis may take beyond its time: to make a failure small, and to write."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and what was said."""

    status: int
    said: str


def fuzz_interface(uri: str, seconds: int, **variables: str) -> Outcome:
    """Serve a model and fuzz its interface for so many seconds."""
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as folder:
        base = {"SCORING_MODEL_URI": uri, "SCORING_WORK_DIR": f"{folder}/work", "SCORING_DRAIN_SECONDS": "0"}
        runtime = Runtime({**base, "SCORING_TERMINATION_LOG": f"{folder}/end", **variables})
        try:
            runtime.wait_for_log("ready")
            log = _drain(runtime)
            document = Path(folder) / "openapi.json"
            document.write_text(json.dumps(loosen_tuples(runtime.client.get("/openapi.json").json())))
            outcome = _run_schemathesis(document, runtime.port, seconds)
            alive = runtime.process.poll() is None
            return outcome if alive else Outcome(1, f"the runtime has ended:\n{''.join(log)}")
        finally:
            runtime.end()


def _drain(runtime: Runtime) -> deque[str]:
    """Read the log all the time, and keep its end: nobody else does."""
    log: deque[str] = deque(maxlen=50)
    threading.Thread(target=lambda: log.extend(runtime.process.stdout or ()), daemon=True).start()
    return log


def loosen_tuples(schema: Any) -> Any:  # noqa: ANN401  # JSON
    """Return a document whose `prefixItems` say which items there may be, in any order: schemathesis 4 fails on them in answers."""
    if isinstance(schema, list):
        return [loosen_tuples(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    loosened = {name: loosen_tuples(one) for name, one in schema.items()}
    if "prefixItems" in loosened:
        loosened["items"] = {"anyOf": loosened.pop("prefixItems")}
    return loosened


def _run_schemathesis(document: Path, port: int, seconds: int) -> Outcome:
    program = Path(sys.executable).with_name("schemathesis")
    command = [str(program), "--config-file", str(Path(__file__).with_name("schemathesis.toml")), "run"]
    address = [str(document), "--url", f"http://127.0.0.1:{port}"]
    limits = ["--max-time", str(seconds), "--request-timeout", str(REQUEST_SECONDS), "--generation-database", "none"]
    options = ["--checks", ",".join(CHECKS), "--warnings", "off", "--no-color", *limits]
    done = subprocess.run(
        [*command, *address, *options], capture_output=True, text=True, check=False, timeout=seconds + GRACE_SECONDS
    )
    return Outcome(done.returncode, done.stdout + done.stderr)
