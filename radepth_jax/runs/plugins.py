"""Modules from outside the package that a config names, which add to the package's tables."""

import importlib
import sys
from typing import Any

from radepth_jax.errors import UserError, reason


class PluginError(UserError):
    """A plugin is not there, fails, or is not allowed; the file that names it is in order."""


def import_plugins(names: Any, *, allowed: bool = True, origin: str = "") -> None:
    """Import the modules of `config.plugins`.

    Args:
        names: dotted names of modules. They are checked, because they may come from any file.
        allowed: whether modules may be imported that nobody has imported yet. A stranger's model
            must not choose which programs run here.
        origin: the model that names them, to begin a message with.

    Raises:
        PluginError: a module is missing, raises an error, or may not be imported.
        UserError: these are not names of modules.
    """
    where = f"{origin}: config.plugins" if origin else "config.plugins"
    if not isinstance(names, list | tuple) or not all(map(_is_name, names)):
        raise UserError(
            f"{where}: expected names of modules, such as ('my_network',), got {names!r}"
        )
    new = [name for name in names if name not in sys.modules]
    if new and not allowed:
        raise PluginError(
            f"{where}: this model names the modules {', '.join(new)}, which would run as programs "
            "of yours; if you trust them, give --allow_plugins (or import them before, as your own "
            "config.plugins does)"
        )
    for name in new:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            missing = error.name or name
            if missing == name or name.startswith(f"{missing}."):
                said = "there is no such module; install it, or run the command from its folder"
            else:
                said = f"it imports {missing}, which is missing; install that"
            raise PluginError(f"{where}: {name}: {said}") from None
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"{where}: {name}: cannot be imported ({type(error).__name__}: {reason(error)}); "
                f"`python -c 'import {name}'` shows where"
            ) from error


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and all(part.isidentifier() for part in value.split("."))
