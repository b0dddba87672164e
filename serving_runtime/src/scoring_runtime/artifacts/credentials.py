"""Credentials for fetching: the keys of a Secret that is mounted as a folder, one file each. Used by retrieval.py and sources.

Only the fetching container has that folder. Outside Kubernetes it is absent, and the environment's usual variables count.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scoring_runtime.errors import CredentialsMissingError
from scoring_runtime.redaction import redactor

CA_KEY = "ca.crt"
# By scheme: sets of keys that belong together, of which a Secret has one; then keys that may stand beside them.
_SETS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "https": (("token",), ("username", "password")),
    "s3": (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),),
    "gs": (("service-account.json",),),
    "abfs": (
        ("AZURE_STORAGE_ACCOUNT_KEY",),
        ("AZURE_STORAGE_SAS_TOKEN",),
        ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"),
    ),
    "hf": (("HF_TOKEN",),),
    "oci": ((".dockerconfigjson",), ("username", "password")),
}
_PUBLIC_KEYS = (CA_KEY, "AWS_REGION", "username")
# The environment's own variables count where a Secret gives nothing; these are read from it.
_ENVIRONMENT_KEYS = ("HF_TOKEN",)


@dataclass(frozen=True)
class Credentials:
    """The values by key; never shown, not even by repr."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_anonymous: bool = False

    def get(self, key: str) -> str | None:
        """Return a value, or None."""
        return self.values.get(key)

    @property
    def secrets(self) -> list[str]:
        """Return the values that nobody may see: all but the certificates of authorities, and names of places and people."""
        return [value for key, value in self.values.items() if key not in _PUBLIC_KEYS]

    @property
    def ca(self) -> str | None:
        """Return certificates of private authorities, as PEM, that are trusted beside the system's."""
        return self.values.get(CA_KEY)


def read_credentials(scheme: str, folder: Path, secret: str | None, *, anonymous: bool = False) -> Credentials:
    """Read what the scheme needs from the folder of a mounted Secret; `secret` is its name, None when there is none.

    Raises CredentialsMissingError when the Secret is named and is not there, or lacks what the scheme reads.
    """
    scheme = scheme.removesuffix("s") if scheme == "abfss" else scheme
    if secret is None:
        found = {key: os.environ[key] for key in _ENVIRONMENT_KEYS if os.environ.get(key)}
        return Credentials(found, is_anonymous=anonymous)
    values = _read_folder(folder)
    if not values:
        raise CredentialsMissingError(
            f"The Secret {secret} does not exist or is empty: create it with {_describe(scheme)}, or correct "
            "spec.model.credentials."
        )
    redactor.learn(value for key, value in values.items() if key != CA_KEY)
    _check_keys(scheme, values, secret)
    return Credentials(values, is_anonymous=anonymous)


def _read_folder(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    # Names with two dots are the kubelet's own, by which it swaps all keys at once.
    files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith("..")]
    # Spaces and line ends around a value come from editors and `base64`, and no key here has any.
    return {path.name: path.read_text("utf-8", errors="replace").strip() for path in files}


def _check_keys(scheme: str, values: Mapping[str, str], secret: str) -> None:
    sets = _SETS.get(scheme, ())
    begun = [keys for keys in sets if any(key in values for key in keys)]
    if any(all(values.get(key) for key in keys) for keys in begun):
        return
    if begun:
        missing = [key for key in begun[0] if not values.get(key)]
        raise CredentialsMissingError(
            f"The Secret {secret} has no {' and no '.join(missing)}. Add what {scheme}:// needs."
        )
    if CA_KEY not in values:
        names = ", ".join(sorted(values))
        raise CredentialsMissingError(
            f"The Secret {secret} has no key that {scheme}:// reads (it has {names[:200]}): give it {_describe(scheme)}."
        )


def _describe(scheme: str) -> str:
    return ", or ".join(" and ".join(keys) for keys in _SETS.get(scheme, ()))
