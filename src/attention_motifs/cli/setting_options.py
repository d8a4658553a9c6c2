"""Command-line options made from the table of settings."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from attention_motifs.store.settings import SETTINGS, Setting, settings_of

Command = TypeVar("Command", bound=Callable[..., None])


def complete_model(incomplete: str) -> list[str]:
    """Return names of known models that start with `incomplete`."""
    from attention_motifs.models.sources import known_models

    return [m.name for m in known_models() if m.name.startswith(incomplete)]


def setting_option(key: str, unset: str = "") -> Any:
    """Return the typer option of a setting.

    Args:
        key: key of the setting.
        unset: meaning of the option's absence, where it differs from the setting's default.
    """
    return _option(next(setting for setting in SETTINGS if setting.key == key), unset)


def takes_settings(*owners: type) -> Callable[[Command], Command]:
    """Give a command one option for every setting of `owners`.

    The command has an argument `settings`, a dictionary. It receives the values that the user
    gave on the command line, by key.
    """
    rows = [setting for owner in owners for setting in settings_of(owner)]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def run(ctx: typer.Context, **values: Any) -> None:
            settings = {}
            for row in rows:
                value = values.pop(row.key)
                source = ctx.get_parameter_source(row.key)
                if source is not None and source.name != "DEFAULT":
                    settings[row.key] = value
            command(**values, settings=settings)

        signature = inspect.signature(command, eval_str=True)
        rest = [p for p in signature.parameters.values() if p.name != "settings"]
        parameters = [_keyword("ctx", typer.Context), *map(_parameter, rows)]
        parameters += [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in rest]
        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return run  # type: ignore[return-value]

    return decorate


def _keyword(name: str, kind: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _parameter(setting: Setting) -> inspect.Parameter:
    kind: Any = setting.value_type
    default = None if setting.is_required else setting.default
    if setting.is_flag:
        kind, default = bool, bool(setting.default)
    elif setting.is_list:
        kind, default = list[str] | None, list(default) if default else None
    return _keyword(setting.key, Annotated[kind, _option(setting)], default)


def _option(setting: Setting, unset: str = "") -> Any:
    option = setting.option
    if setting.default is True:
        option = f"{option}/--no-{option.removeprefix('--')}"
    unset = unset or (setting.about.unset if setting.default is None else "")
    return typer.Option(
        option,
        help=setting.help + ("; repeatable." if setting.is_list and not setting.is_flag else "."),
        min=setting.least,
        metavar=None if setting.is_flag else setting.metavar,
        autocompletion=complete_model if setting.about.names == "model" else None,
        show_default=unset or not setting.is_required,
    )
