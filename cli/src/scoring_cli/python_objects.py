"""Objects of the user's own Python code, named on the command line as `module:attribute` or `file.py:attribute`."""

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from scoring_cli.errors import InputInvalid


def load_object(name: str) -> object:
    """Return the object, or what it returns when it is a function. Runs the module. Raises InputInvalid, naming what is missing."""
    module_name, _, attribute = name.rpartition(":")
    module = _run(module_name, lambda: _load_module(module_name))
    found = getattr(module, attribute, None)
    if found is None:
        raise InputInvalid(
            f"{module_name} has no {attribute}: name an attribute of the module that is the model, or a function that returns it."
        )
    is_model = (
        isinstance(found, type) or not callable(found) or hasattr(found, "predict") or hasattr(found, "state_dict")
    )
    return found if is_model else _run(name, found)


def _run(name: str, action: Callable[[], object]) -> object:
    """Return what the user's own code returns. Raises InputInvalid, with the place in it, when it fails."""
    try:
        return action()
    except InputInvalid:
        raise
    except ModuleNotFoundError as error:
        raise InputInvalid(
            f"{name} cannot be imported: there is no module {error.name}: install it, or run this where it is."
        ) from error
    except (Exception, SystemExit) as error:
        # The user's own code can fail in any way.
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.filename}, line {place.lineno}"
        raise InputInvalid(f"{name} fails when it is run: {type(error).__name__}: {error} ({where}).") from error


def _load_module(name: str) -> ModuleType:
    # What a script imports from beside itself is found, as when Python runs it.
    folder = str(Path(name).resolve().parent) if name.endswith(".py") else str(Path.cwd())
    sys.path.insert(0, folder)
    return _load_file(Path(name)) if name.endswith(".py") else importlib.import_module(name)


def _load_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InputInvalid(f"{path} is no Python file: name one, as in train.py:model.")
    module = importlib.util.module_from_spec(spec)
    # Pickle finds a class again by the name of its module.
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
