"""The stage `extract`: models and prompts to patterns, tokens and features.

The stage cuts its work into jobs of one model and one block of prompts or probes, and passes them
to an executor. A model is loaded once for both.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from attention_motifs.atlas import IMPORTED, Atlas
from attention_motifs.atlas.stimuli import PROBES, PROMPTS, Stimuli, get_stimuli
from attention_motifs.errors import AtlasError, InputError, JobsFailedError, MotifsError
from attention_motifs.executors import LOCAL, Executor, Job
from attention_motifs.head import model_folder
from attention_motifs.progress import Advance, Report, silent
from attention_motifs.stages.heads import write_heads
from attention_motifs.stages.model_source import (
    dtype_in,
    load_for,
    models_to_extract,
    source_on,
    wanted_model,
)
from attention_motifs.stages.motif_parts import write_share_columns
from attention_motifs.stages.parts import (
    PatternSource,
    begin_model,
    finish_model,
    finish_probes,
    is_extracted,
    missing_parts,
    positions_of,
    warn_of_prompts,
    write_part,
)
from attention_motifs.stages.same_model import as_recorded
from attention_motifs.stages.stage import under_lock
from attention_motifs.store import files
from attention_motifs.store.manifest import ModelRecord
from attention_motifs.store.settings import Configuration

if TYPE_CHECKING:
    from attention_motifs.extraction import ModelIdentity
    from attention_motifs.models.model import LoadedModel


@under_lock
def extract(
    atlas: Atlas,
    *,
    device: str = "auto",
    models: Sequence[str] | None = None,
    report: Report = silent,
    added: bool = False,
    softmax_only: bool = False,
    executor: Executor = LOCAL,
) -> None:
    """Compute the features of the models on the atlas's prompts, and on its probes if it has any.

    Parts that are complete, with all feature sets of the atlas, are kept. A model that fails does
    not stop the others: those whose parts are all complete are recorded in the manifest.

    Args:
        atlas: the atlas to write to; all workers see its folder under the same path.
        device: `auto`, `cpu`, `cuda`... of each process that runs a model.
        models: names as the user gives them; default: those of the configuration, and the added
            ones whose features are not complete.
        report: shows progress.
        added: whether these models are placed in an embedding that was fitted without them.
        softmax_only: read the softmax layers of hybrids, also if the atlas has no such setting.
        executor: runs the models; default: this process. The files do not depend on it.

    Raises:
        ModelError, ResourceError: if no model is available, loads or passes its check.
        InputError: if a prompt is shorter than two tokens.
        JobsFailedError: if some models or parts failed; the others are complete.
        AtlasError: if the patterns of the atlas were imported.
    """
    from attention_motifs.models.sources import resolve

    if models is None and atlas.manifest.configuration.prompts == IMPORTED:
        raise AtlasError(
            f"{atlas.place}: its patterns were imported; run {atlas.paths.extract_command()}"
        )
    requested = list(models or models_to_extract(atlas))
    for model in requested:
        _check_folder_is_free(atlas, resolve(model).name)
    kinds = (PROMPTS, PROBES) if atlas.manifest.probes["n"] else (PROMPTS,)
    run = Extraction(atlas, device, report, executor, kinds, softmax_only)
    try:
        run.extract(requested, added=added)
    except JobsFailedError as error:
        remove = atlas.paths.command("remove MODEL")
        raise JobsFailedError(f"{error}, or leave a model out with {remove}") from error
    finally:
        if atlas.models:  # also those that are complete where another failed
            write_heads(atlas)
    if models is None:
        late = [
            wanted_model(atlas, name, f"run {atlas.paths.extract_command(name)}")
            for name, info in atlas.manifest.models.items()
            if info.added and not all(is_extracted(atlas, name, kind) for kind in kinds)
        ]
        run.extract(late, added=True)
    write_share_columns(atlas)


def _check_folder_is_free(atlas: Atlas, name: str) -> None:
    for existing in atlas.manifest.models:
        if existing != name and model_folder(existing) == model_folder(name):
            raise InputError(
                f"models {existing!r} and {name!r} would share the folder {model_folder(name)}; "
                "give one of them another name with NAME=PATH"
            )


@dataclass
class _Model:
    """A model of a run on one kind of stimuli, and what is still missing of it."""

    requested: str
    identity: ModelIdentity
    stimuli: Stimuli
    missing: dict[int, range]


@dataclass
class Extraction:
    """A run of the stage: identifies models, makes the missing parts, records the models."""

    atlas: Atlas
    device: str
    report: Report
    executor: Executor
    kinds: tuple[Stimuli, ...]
    softmax_only: bool = False

    def extract(self, requested: Sequence[str], *, added: bool) -> None:
        """Make the missing parts of these models, and go on with the others if one fails.

        Raises:
            MotifsError: the error of the models, if all of them failed.
            JobsFailedError: if some failed, after the others finished.
        """
        if not requested:
            return
        path = str(self.atlas.path.resolve())
        shared = self.executor.share(self.atlas, path)
        try:
            models, failed = self._identify(requested, shared)
            missing = [model for model in models if not self._is_complete(model)]
            self._make(missing, shared, failed, added=added)
        finally:
            self.executor.close()
            _loaded.clear()
            # Killed workers leave temporary files, on the disk also of an atlas in a store.
            files.remove_unfinished(self.atlas.path)

    def _identify(
        self, requested: Sequence[str], shared: Atlas | str
    ) -> tuple[list[_Model], JobsFailedError | None]:
        """Return the models that can be identified, and the error of the others."""
        report = self.executor.share(self.report, silent)
        jobs = [
            Job(f"identify {name}", f"{__name__}:identify", (shared, name, self.device, report))
            for name in requested
        ]
        # In this process, every job shows its own progress.
        outer = self.executor.share(silent, self.report)
        identities: dict[int, ModelIdentity] = {}
        failed = None
        with outer(f"identify {', '.join(requested)}", len(jobs)) as advance:
            try:
                self.executor.run(jobs, advance, identities.__setitem__)
            except JobsFailedError as error:
                failed = error
        models = []
        for position, identity in sorted(identities.items()):
            name = requested[position]
            same = as_recorded(self.atlas, name, identity)
            for kind in self.kinds:
                missing = missing_parts(self.atlas, same.name, same, kind)
                models.append(_Model(name, same, kind, missing))
        return models, failed

    def _is_complete(self, model: _Model) -> bool:
        return not model.missing and is_extracted(self.atlas, model.identity.name, model.stimuli)

    def _make(
        self,
        models: Sequence[_Model],
        shared: Atlas | str,
        failed: JobsFailedError | None,
        *,
        added: bool,
    ) -> None:
        owners: list[tuple[_Model, int, bool]] = []
        jobs: list[Job] = []
        for model in models:
            # A model that is complete but not recorded is loaded for its record.
            kind = model.stimuli
            blocks = model.missing or {0: positions_of(self.atlas, 0, kind)}
            for number, (block, positions) in enumerate(blocks.items()):
                arguments = (
                    *(shared, model.requested, block, self.device),
                    *(model.identity, number == 0, kind.name, self.softmax_only),
                )
                jobs.append(
                    Job(
                        f"{model.identity.name}, {kind.name} {positions.start} to "
                        f"{positions.stop - 1}",
                        f"{__name__}:extract_part",
                        arguments,
                        loads=model.requested,
                        steps=len(positions),
                    )
                )
                owners.append((model, block, number == 0))

        def done(position: int, info: ModelRecord) -> None:
            model, block, begun = owners[position]
            model.missing.pop(block, None)
            if begun and model.stimuli is PROMPTS:
                warn_of_prompts(self.atlas, model.identity.name)
            if not model.missing and model.stimuli is PROBES:
                finish_probes(self.atlas, model.identity.name, info)
            elif not model.missing:
                # A model of the configuration is named there.
                info = replace(info, wanted=model.requested if added else None)
                finish_model(self.atlas, model.identity.name, info, added=added)

        names = dict.fromkeys(m.identity.name for m in models)
        title = f"patterns and features of {', '.join(names)}"
        if jobs:
            try:
                with self.report(title, sum(job.steps for job in jobs)) as advance:
                    if (live := self.executor.share(advance, None)) is not None:
                        # Jobs in this process advance it themselves, layer by layer.
                        jobs = [
                            replace(job, arguments=(*job.arguments, live), steps=0) for job in jobs
                        ]
                    self.executor.run(jobs, advance, done)
            except MotifsError as error:
                if failed is None:
                    raise
                raise JobsFailedError(f"{failed}; {error}") from error
        if failed is not None:
            raise failed


def identify(
    atlas: Atlas | str | Path, requested: str, device: str, report: Report = silent
) -> ModelIdentity:
    """Return the identity of a model in the process that would run it.

    Args:
        atlas: the atlas or its path.
        requested: name or path of the model, as the user gives it.
        device: `auto`, `cpu`, `cuda`...
        report: shows progress of fetching.
    """
    from attention_motifs.extraction import identify_model
    from attention_motifs.models.sources import resolve

    dtype = dtype_in(_opened(atlas), resolve(requested).name)
    return identify_model(requested, device=device, dtype=dtype, report=report)


def extract_part(
    atlas: Atlas | str | Path,
    requested: str,
    block: int,
    device: str = "auto",
    identity: ModelIdentity | None = None,
    begin: bool = False,
    stimuli: str = PROMPTS.name,
    softmax_only: bool = False,
    advance: Advance | None = None,
) -> ModelRecord:
    """Make one part in any process that sees the folder of the atlas.

    The model stays loaded in the process for its next part. Other processes may make other parts
    of the same atlas at the same time.

    Args:
        atlas: the atlas or its path; it holds the prompts and the configuration.
        requested: name or path of the model, as the user gives it; this process must see the path.
        block: number of the block of prompts or probes, from 0.
        device: `auto`, `cpu`, `cuda`...
        identity: of the model where the run started; default: that which `identify` returns.
        begin: whether to write the tokens of the model's prompts or probes too.
        stimuli: `prompts` or `probes`.
        softmax_only: see `extract`.
        advance: called with prompts that are done, and with parts of a prompt after each layer.

    Returns:
        Record of the model for the manifest.

    Raises:
        AtlasError: if there is no atlas.
        InputError: if this process sees another model than the one identified.
        ModelError, ResourceError: as `extract`.
    """
    opened = _opened(atlas)
    identity = identity or identify(opened, requested, device)
    run = _Run(requested, device, identity, softmax_only)
    opened, source = _source_of_process(opened, run, get_stimuli(stimuli))
    if source.info.weights_sha256 != identity.weights_sha256:
        raise InputError(
            f"{requested}: has other weights in this process than where the run started. Give all "
            "workers the same files"
        )
    if begin:
        begin_model(opened, source)
    if advance is None:
        write_part(opened, source, block)
        return source.info
    steps = _Steps(advance, len(positions_of(opened, block, source.stimuli)))
    try:
        write_part(opened, source, block, steps.take)
    finally:
        steps.finish()
    return source.info


class _Steps:
    """Steps of a job that several threads advance by parts: in all as many as it has."""

    def __init__(self, advance: Advance, total: int) -> None:
        self._advance = advance
        self._remaining = float(total)
        self._lock = threading.Lock()

    def take(self, steps: float) -> None:
        """Advance by so many steps."""
        with self._lock:
            steps = min(steps, self._remaining)
            self._remaining -= steps
            self._advance(steps)

    def finish(self) -> None:
        """Advance by the rest, also that of a part that was complete."""
        self.take(self._remaining)


def _opened(atlas: Atlas | str | Path) -> Atlas:
    return atlas if isinstance(atlas, Atlas) else Atlas.open(atlas)


@dataclass(frozen=True)
class _Run:
    """A model as a process is to run it."""

    requested: str
    device: str
    identity: ModelIdentity
    softmax_only: bool


_Key = tuple[Path, _Run, Configuration, str]


@dataclass
class _LoadedSource:
    """A model in the memory of this process, with its sources of patterns by stimuli."""

    atlas: Atlas
    model: LoadedModel
    sources: dict[str, PatternSource]


_loaded: dict[_Key, _LoadedSource] = {}
"""The model that this process ran last: one at a time is in memory."""


def _source_of_process(atlas: Atlas, run: _Run, stimuli: Stimuli) -> tuple[Atlas, PatternSource]:
    manifest = atlas.manifest
    key = (atlas.path.resolve(), run, manifest.configuration, str(manifest.probes["sha256"]))
    if key not in _loaded:
        _loaded.clear()  # before the next model needs the memory
        model = load_for(
            atlas, run.requested, run.device,
            dtype=run.identity.dtype, softmax_only=run.softmax_only,
        )  # fmt: skip
        _loaded[key] = _LoadedSource(atlas, model, {})
    loaded = _loaded[key]
    if stimuli.name not in loaded.sources:
        source = source_on(loaded.atlas, loaded.model, stimuli)
        info = replace(
            source.info,
            tokenizer_sha256=run.identity.tokenizer_sha256,
            config_sha256=run.identity.config_sha256,
        )
        loaded.sources[stimuli.name] = replace(source, info=info)
    return loaded.atlas, loaded.sources[stimuli.name]
