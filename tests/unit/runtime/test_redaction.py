"""What is redacted and what is kept. The operator has the same file, which tests/repo holds equal."""

import re
from time import perf_counter

import pytest

from scoring_runtime.artifacts.uris import find_credentials
from scoring_runtime.redaction import (
    MAX_CHARACTERS,
    MAX_DEPTH,
    REDACTED,
    RULES,
    Redactor,
    Rule,
    compile_pattern,
    find_secrets,
)

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIhunter2\nhunter2==\n"

# Each holds the secret `hunter2`.
SECRETS = [
    "password=hunter2",
    "password = hunter2",
    "db_password: hunter2",
    "PGPASSWORD=hunter2 psql",
    "MYSQL_PWD=hunter2",
    "dbPassword=hunter2",
    "pass: hunter2",
    "{'password': 'hunter2 with spaces'}",
    "password='hun\\'ter2 hunter2'",
    '{"token":"hunter2"}',
    '{\\"token\\": \\"hunter2\\"}',
    'clientSecret: "hunter2"',
    '"auth": "aHVudGVyMg==hunter2"',
    '{"auths": {"registry.example.com": {"password": "hunter2", "auth": "hunter2"}}}',
    "AWS_SECRET_ACCESS_KEY=hunter2",
    "aws_secret_access_key = hunter2",
    "AWS_SESSION_TOKEN=hunter2",
    "SHARED_ACCESS_KEY: hunter2",
    "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=hunter2==;EndpointSuffix=x",
    "apiKey=hunter2",
    "X-API-Key: hunter2",
    "[(b'x-api-key', b'hunter2')]",
    "Cookie: session=hunter2",
    "Authorization: Bearer hunter2abc",
    "authorization: hunter2",
    "('Authorization', 'Digest hunter2')",
    "Basic dXNlcjpodW50ZXIyhunter2",
    "--password hunter2",
    "--token=hunter2",
    "postgres://u:hunter2@db/x?sslmode=require",
    "https://host/model.tar?X-Amz-Signature=hunter2&X-Amz-Expires=60",
    "Max retries exceeded with url: /bucket/key?X-Amz-Credential=hunter2",
    "?sv=2020&sig=hunter2%3D",
    "https://user:hun/ter2@host/x",
    "https://user:a#hunter2@host/x",
    "user:hunter2@db.internal:5432/faq",
    PEM + "-----END RSA PRIVATE KEY-----",
    PEM,
    "hf_hunter2hunter2hunter2",
    "ghp_hunter2hunter2hunter2hunter2",
    "eyJhbGciOiJIUzI1NiJ9.hunter2hunter2.hunter2",
]

KEPT = [
    "Secret faq-keys: not found",
    "spec.model.credentials: Input should be a valid dictionary",
    "spec.endpoint.apiKeys: Field required",
    "image: registry.example.com:5000/team/x:7@sha256:abcd",
    "oci://registry:5000/models/faq@sha256:abc",
    "Basic authentication is missing",
    'Bearer realm="scoring"',
    "tokens: 5 of 7",
    "secretName: s3",
    "the token has expired",
    "https://host:8443/path/x",
    "http://faq.ns.svc/score",
    "No node takes a replica: 0/1 nodes are available: 1 Insufficient cpu",
    "ValueError: no sign of a secret",
    "bob@example.com",
    "author: me",
    "bypass=1",
    "compass: north",
    "signature: inputs must not be empty",
]


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_redacted_and_stays_so(text: str) -> None:
    redacted = Redactor().redact(f"before, {text}")
    assert redacted.startswith("before, ")
    assert not re.search("hunter2|ter2", redacted)
    assert Redactor().redact(redacted) == redacted


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_secret_is_kept(text: str) -> None:
    assert Redactor().redact(text) == text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_has_a_reason_and_finds_something(rule: Rule) -> None:
    assert rule.reason
    assert any(rule.apply(text, text.lower()) != text for text in SECRETS)


def test_known_values_are_redacted_wherever_they_appear_the_longest_first() -> None:
    redactor = Redactor()
    redactor.learn(["orange", "orange-tree", "true"])
    assert redactor.redact("an orange-tree, an orange: true") == f"an {REDACTED}, an {REDACTED}: true"


def test_secrets_of_the_environment_are_those_with_telling_names() -> None:
    environment = {
        "HF_TOKEN": "a-token",
        "DB_PASSWORD": "a-password",
        "AWS_SECRET_ACCESS_KEY": "a-key",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/secrets/token",
        "PATH": "/bin",
        "TOKENIZERS_PARALLELISM": "false",
    }
    assert find_secrets(environment) == ["a-token", "a-password", "a-key"]


def test_folder_of_a_shell_is_no_secret() -> None:
    """PWD ends like the name of a password, and paths in messages would be left out."""
    assert find_secrets({"PWD": "/srv/models", "OLDPWD": "/srv", "DB_PWD": "hunter2"}) == ["hunter2"]


def test_password_and_query_of_the_models_uri_are_known_values() -> None:
    assert find_credentials("https://user:hunter2@host/x?sig=abcdefg&se=2026") == ["hunter2", "abcdefg", "2026"]
    assert find_credentials("https://[") == []


def test_patterns_of_the_settings_are_redacted_too() -> None:
    redactor = Redactor()
    redactor.add_patterns([r"[A-Z]{2}\d{6}", "first-one"])
    redactor.add_patterns(["second"])
    assert redactor.redact("customer AB123456, second") == f"customer {REDACTED}, {REDACTED}"


@pytest.mark.parametrize(("pattern", "reason"), [("(", "not a regular expression"), ("x*", "empty text")])
def test_a_pattern_that_cannot_be_used_is_refused_without_being_shown(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        compile_pattern(f"hunter2{pattern}" if pattern == "(" else pattern)
    assert "hunter2" not in str(caught.value)


def test_nested_values_are_redacted_by_name_and_by_content() -> None:
    nested = {"a": [{"password": "x", "count": 3}, ("https://u:p@h/x?y",)], "ok": None, "is_on": True}
    assert Redactor().redact_value(nested) == {
        "a": [{"password": REDACTED, "count": 3}, ["https://h/x"]],
        "ok": None,
        "is_on": True,
    }
    assert Redactor().redact_value("anything", "api_key") == REDACTED
    assert Redactor().redact_value(ValueError("password=x")) == f"ValueError('password={REDACTED}')"


def test_values_within_values_end_somewhere() -> None:
    value: object = "password=hunter2"
    for _ in range(MAX_DEPTH * 3):
        value = [value]
    assert "hunter2" not in repr(Redactor().redact_value(value))
    loop: list[object] = []
    loop.append(loop)
    assert Redactor().redact_value(loop)


@pytest.mark.parametrize(
    "unit",
    ["https://", "password", "token='", "a:", "a:b@", "eyJ", "-----BEGIN PRIVATE KEY-----", "bearer ", 'key="\\'],
)
def test_no_text_takes_long(unit: str) -> None:
    started = perf_counter()
    assert len(Redactor().redact(unit * MAX_CHARACTERS)) < 2 * MAX_CHARACTERS
    # A hundredth of a second where nothing is done twice; a quadratic rule would take minutes.
    assert perf_counter() - started < 5
