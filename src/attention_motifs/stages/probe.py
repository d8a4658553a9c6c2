"""The stage `probe`: probes for the models of an existing atlas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from attention_motifs.atlas import IMPORTED, Atlas
from attention_motifs.atlas.stimuli import PROBES
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.executors import LOCAL, Executor
from attention_motifs.progress import Report, silent
from attention_motifs.stages.extract import Extraction
from attention_motifs.stages.model_source import wanted_model
from attention_motifs.stages.probe_sequences import PROBE_SETTINGS, set_probes
from attention_motifs.stages.same_model import name_of
from attention_motifs.stages.stage import under_lock
from attention_motifs.store.settings import Configuration


@under_lock
def probe(
    atlas: Atlas,
    *,
    settings: Mapping[str, Any] | None = None,
    models: Sequence[str] | None = None,
    device: str = "auto",
    executor: Executor = LOCAL,
    report: Report = silent,
) -> None:
    """Run the models of an atlas on its probes; what is complete is kept.

    An atlas without probes gains them. Other settings than those recorded replace its probes.

    Args:
        atlas: the atlas to write to.
        settings: some of `n_probes`, `probe_tokens`, `probe_file` and `probe_seed`; default: those
            of the atlas, or 16 probes if it has none.
        models: names in the atlas, or names and paths as the user gives them; default: all. If
            the probes change, the other models of the atlas are run too.
        device: `auto`, `cpu`, `cuda`...
        executor: runs the models; default: this process.
        report: shows progress.

    Raises:
        InputError: if a setting cannot be used, a model is not in the atlas or changed, or a
            local model is not found.
        AtlasError: if the atlas has no models yet, or its patterns were imported.
        ModelError, ResourceError: if a model is not available or does not load.
        JobsFailedError: from an executor, if some parts failed; the others are complete.
    """
    recorded = atlas.manifest.configuration
    if recorded.prompts == IMPORTED:
        raise AtlasError(
            f"{atlas.place}: its patterns were imported, so no model can be run on probes. Use "
            "the prompts alone"
        )
    if not atlas.models:
        raise AtlasError(f"{atlas.place}: has no patterns yet; run {atlas.paths.extract_command()}")
    given = {_name(atlas, model): model for model in models or ()}
    changed = set_probes(atlas, _with_settings(recorded, dict(settings or {})))
    names = atlas.models if changed or not given else given
    requested = [_wanted(atlas, name, given.get(name, name)) for name in names]
    Extraction(atlas, device, report, executor, (PROBES,)).extract(requested, added=False)


def _with_settings(recorded: Configuration, settings: dict[str, Any]) -> Configuration:
    unknown = [name for name in settings if name not in PROBE_SETTINGS]
    if unknown:
        raise InputError(
            f"{unknown[0]!r} is no setting of probes; choose {', '.join(PROBE_SETTINGS)}"
        )
    if not recorded.has_probes and not {"n_probes", "probe_file"} & settings.keys():
        default = Configuration.__dataclass_fields__["n_probes"].default
        settings = {**settings, "n_probes": default}
    changed = replace(recorded, **settings)
    if not changed.has_probes:
        raise InputError(
            "--n-probes 0: leaves no probes to run. Give a number above 0, or --probe-file FILE"
        )
    return changed


def _name(atlas: Atlas, requested: str) -> str:
    """Return the name in the atlas of a model that the user names, or gives as NAME=PATH."""
    name = requested if requested in atlas.models else name_of(requested)
    if name not in atlas.models:
        raise InputError(
            f"model {requested!r} is not in this atlas; it has {', '.join(atlas.models)}"
        )
    return name


def _wanted(atlas: Atlas, name: str, requested: str) -> str:
    """Return the name or path from which a model is loaded."""
    if requested != name:
        return requested
    return wanted_model(atlas, name, f"run {atlas.paths.command(f'probe --model {name}=PATH')}")
