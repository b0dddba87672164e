"""API keys: how they are written, found, made and listed, and how a changed folder is followed."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from scoring_runtime.access.errors import ApiKeysMissingError
from scoring_runtime.access.keys import KeyRing, hash_key, make_key, read_keys
from scoring_runtime.keys_command import keys as command


def mount(folder: Path, generation: str, files: dict[str, str]) -> None:
    """Write files as the kubelet does: into a folder of this generation, to which the link ..data is then swapped."""
    target = folder / f"..{generation}"
    target.mkdir(parents=True)
    for name, text in files.items():
        (target / name).write_text(text)
    new = folder / "..data_tmp"
    new.symlink_to(target.name)
    new.replace(folder / "..data")
    for name in files:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    for path in folder.iterdir():
        if not path.name.startswith("..") and path.name not in files:
            path.unlink()


def test_key_has_256_bits_and_a_mark() -> None:
    key = make_key()
    assert key.startswith("scoring_")
    assert len(key) == len("scoring_") + 43
    assert key != make_key()


def test_hash_is_what_sha256sum_prints() -> None:
    printed = subprocess.run(["sha256sum"], input=b"scoring_x", capture_output=True, check=True).stdout.split()[0]
    assert hash_key("scoring_x") == f"sha256:{printed.decode()}"


def test_key_is_found_by_its_hash(tmp_path: Path) -> None:
    mount(tmp_path, "1", {"shop": hash_key("one"), "web": f"# Web team\n\n{hash_key('two')}\n{hash_key('three')}\n"})
    ring = KeyRing(tmp_path)
    assert [(caller.name if caller else None) for caller in map(ring.find, ("one", "two", "three", "four", ""))] == [
        "shop",
        "web",
        "web",
        None,
        None,
    ]


def test_changed_folder_is_followed(tmp_path: Path) -> None:
    mount(tmp_path, "1", {"shop": hash_key("old"), "web": hash_key("two")})
    ring = KeyRing(tmp_path)
    assert not ring.look()
    mount(tmp_path, "2", {"shop": hash_key("new")})
    assert ring.look()
    assert ring.find("new")
    assert not ring.find("old")
    assert not ring.find("two")


def test_changed_plain_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text(hash_key("old"))
    ring = KeyRing(tmp_path)
    (tmp_path / "web").write_text(hash_key("new"))
    assert ring.look()
    assert ring.find("new")


def test_folder_that_goes_admits_nobody_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    mount(folder, "1", {"shop": hash_key("one")})
    ring = KeyRing(folder)
    folder.rename(tmp_path / "away")
    assert ring.look()
    assert not ring.find("one")
    (tmp_path / "away").rename(folder)
    assert ring.look()
    assert ring.find("one")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("scoring_plain-key", "a line is not"),
        ("sha256:abc", "a line is not"),
        ("SHA256:" + "0" * 64, "a line is not"),
        ("sha256:" + "0" * 64 + " until=now", "until= is not known"),
        ("sha256:" + "0" * 64 + " expires=soon", "soon"),
        ("sha256:" + "0" * 64 + " expires=2027-01-01T00:00:00", "no time zone"),
        ("\ufffd\ufffd", "a line is not"),
    ],
)
def test_wrong_entry_leaves_out_its_name_only(text: str, reason: str) -> None:
    found = read_keys({"bad": f"{hash_key('mine')}\n{text}", "good": hash_key("one")})
    assert found.names == {"good"}
    assert len(found.problems) == 1
    assert found.problems[0].startswith("bad: ")
    assert reason in found.problems[0]
    assert "plain-key" not in found.problems[0]


def test_key_of_two_names_is_the_first_ones() -> None:
    found = read_keys({"b": hash_key("one"), "a": hash_key("one")})
    assert found.names == {"a"}
    assert found.problems == ("b: its key is a's too",)


@pytest.mark.parametrize("files", [{}, {"bad": "nothing"}, {"empty": "\n# none\n"}])
def test_no_usable_key_is_told(tmp_path: Path, files: dict[str, str]) -> None:
    mount(tmp_path / "keys", "1", files)
    with pytest.raises(ApiKeysMissingError, match="scoring-runtime keys new"):
        KeyRing(tmp_path / "keys").check()


def test_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ApiKeysMissingError, match="cannot be read"):
        KeyRing(tmp_path / "none").check()


def test_huge_file_is_read_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / "huge").write_bytes(b"sha256:" + b"0" * 2**20)
    assert not KeyRing(tmp_path).find("one")


def test_command_shows_the_key_once_and_stores_its_hash() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "scoring_runtime", "keys", "new", "shop", "--secret", "faq-keys"],
        capture_output=True,
        text=True,
        check=True,
    )
    key = made.stderr.split()[-1]
    assert key not in made.stdout
    assert hashlib.sha256(key.encode()).hexdigest() in made.stdout
    assert made.stdout.splitlines()[:4] == ["apiVersion: v1", "kind: Secret", "metadata:", '  name: "faq-keys"']


def test_commands_patch_adds_a_key_with_its_limits() -> None:
    made = CliRunner().invoke(command, ["new", "shop", "-o", "patch", "--expires", "90d", "--models", "faq,other"])
    (entry,) = json.loads(made.stdout)["stringData"].values()
    (caller,) = read_keys({"shop": entry}).callers.values()
    assert caller.models == frozenset({"faq", "other"})
    assert made.exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [["a/b"], [""], ["..data"], ["shop", "--expires", "soon"], ["shop", "--models", "a b"], ["shop", "-o", "none"]],
)
def test_command_refuses_what_could_not_be_used(arguments: list[str]) -> None:
    made = CliRunner().invoke(command, ["new", *arguments])
    assert made.exit_code == 2
    assert not made.stdout


def test_command_lists_a_folder(tmp_path: Path) -> None:
    entry = f"{hash_key('one')} expires=2020-01-01T00:00:00Z models=faq"
    mount(tmp_path, "1", {"shop": entry, "web": hash_key("two"), "bad": "nothing"})
    listed = CliRunner().invoke(command, ["list", str(tmp_path)])
    assert listed.stdout.splitlines() == [
        f"shop\t{hash_key('one')[7:19]}\texpired 2020-01-01T00:00:00Z\tfaq",
        f"web\t{hash_key('two')[7:19]}\tnever expires\tall models",
    ]
    assert "left out: bad" in listed.stderr


def test_command_lists_a_secret_as_kubectl_writes_it() -> None:
    secret = {"data": {"shop": "c2hhMjU2Og=="}, "stringData": {"web": hash_key("two")}}
    listed = CliRunner().invoke(command, ["list", "-"], input=json.dumps(secret))
    assert listed.stdout.startswith("web\t")
    assert "left out: shop" in listed.stderr


def test_command_lists_for_programs() -> None:
    entry = f"{hash_key('two')} expires=2027-01-31T00:00:00Z models=faq,resnet152"
    secret = {"stringData": {"shop": hash_key("one"), "web": entry}}
    listed = CliRunner().invoke(command, ["list", "-", "--output", "json"], input=json.dumps(secret))
    shop, web = json.loads(listed.stdout)
    assert (shop["name"], shop["expires"], shop["models"]) == ("shop", None, None)
    assert (web["expires"], web["models"]) == ("2027-01-31T00:00:00Z", ["faq", "resnet152"])


def test_command_says_what_it_cannot_read() -> None:
    for source, given in (("-", "[]"), ("-", "x"), ("/nowhere", "")):
        listed = CliRunner().invoke(command, ["list", source], input=given)
        assert listed.exit_code == 1
        assert "cannot be read" in listed.stderr
