"""Argo CD's health of our kinds, as its controller works it out: the Lua of the sample's argocd-cm on an object.

Argo CD runs it by an interpreter of Lua 5.1 of its own (gopher-lua), with the basic functions and those of tables and no others; here it is
Lua 5.1 itself, with as little.
"""

from typing import Any

import yaml
from lupa import lua51

from kubectl import Manifest
from local_clusters import ROOT

CONFIG = ROOT / "samples" / "gitops" / "argocd" / "argocd-cm.yaml"
PREFIX = "resource.customizations.health."
STATES = {"Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"}
WITHHELD = ("string", "math", "io", "os", "debug", "package", "require", "python")


def read_scripts() -> dict[str, str]:
    """Return the Lua of each kind, by group and kind as Argo CD writes them."""
    settings: dict[str, str] = yaml.safe_load(CONFIG.read_text())["data"]
    return {key.removeprefix(PREFIX): text for key, text in settings.items() if key.startswith(PREFIX)}


def tell_health(body: Manifest) -> tuple[str, str]:
    """Return status and message of an object's health."""
    group = body["apiVersion"].partition("/")[0]
    lua = lua51.LuaRuntime(register_eval=False, register_builtins=False)
    for name in WITHHELD:
        lua.globals()[name] = None
    lua.globals()["obj"] = to_lua(lua, body)
    health = lua.execute(read_scripts()[f"{group}_{body['kind']}"])
    status, message = str(health["status"]), str(health["message"])
    if status not in STATES:
        raise ValueError(f"{status} is no health of Argo CD's")
    return status, message


def to_lua(lua: Any, value: object) -> Any:
    """Return a value of JSON as Lua's; null is nil, as it is to Argo CD."""
    if isinstance(value, dict):
        return lua.table_from({key: to_lua(lua, member) for key, member in value.items()})
    if isinstance(value, list):
        return lua.table_from([to_lua(lua, member) for member in value])
    return value
