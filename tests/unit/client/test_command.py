"""`python -m samples.client`: Secrets that fit the runtime's and the app's own."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from samples.client.__main__ import app
from samples.client.users import Users
from scoring_runtime.access.keys import read_keys


def run(*arguments: str, stdin: str | None = None) -> tuple[str, str]:
    done = CliRunner().invoke(app, arguments, input=stdin)
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


def test_secrets_hold_a_key_in_one_and_its_hash_in_the_other() -> None:
    printed, said = run("secrets", "--model-keys", "faq-keys")
    own, models = yaml.safe_load_all(printed)
    assert (own["metadata"]["name"], models["metadata"]["name"]) == ("sample-client", "faq-keys")
    assert own["stringData"].keys() == {"session-key", "api-key"}
    key = own["stringData"]["api-key"]
    assert key not in json.dumps(models)
    assert [caller.name for caller in read_keys(models["stringData"]).callers.values()] == ["sample-client"]
    assert said == ""


def test_secrets_are_new_each_time() -> None:
    first, second = (yaml.safe_load(run("secrets")[0])["stringData"]["session-key"] for _ in range(2))
    assert first != second
    assert len(first) >= 48


def test_client_secret_is_read_and_not_an_argument() -> None:
    printed, _ = run("secrets", "--client-secret-file", "-", stdin="from the issuer\n")
    assert yaml.safe_load(printed)["stringData"]["oidc-client-secret"] == "from the issuer"


def test_user_gets_a_new_password_that_is_shown_once() -> None:
    printed, said = run("user", "ann")
    manifest = yaml.safe_load(printed)
    password = said.rpartition(": ")[2].strip()
    assert password not in printed
    assert manifest["metadata"]["name"] == "sample-client-users"
    assert manifest["stringData"].keys() == {"ann"}


def test_user_can_sign_in_with_the_password_read(tmp_path: Path) -> None:
    entry, said = run("user", "ann", "--stdin", "--output", "entry", stdin="a long password\n")
    (tmp_path / "ann").write_text(entry)
    assert Users(tmp_path).check("ann", "a long password")
    assert said == ""
    patch, _ = run("user", "ann", "--output", "patch")
    assert json.loads(patch)["stringData"]["ann"].startswith("$argon2id$")


@pytest.mark.parametrize(
    ("arguments", "stdin", "told"),
    [
        (("user", "-"), None, "begins with"),
        (("user", "a/b"), None, "begins with"),
        (("user", "ann", "--stdin"), "short\n", "12 characters"),
    ],
)
def test_bad_name_or_password_is_told(arguments: tuple[str, ...], stdin: str | None, told: str) -> None:
    done = CliRunner().invoke(app, arguments, input=stdin)
    assert done.exit_code == 2
    assert told in " ".join(done.output.replace("│", " ").split())
