"""The stage `ablate`: effects of ablating heads, written to `ablations.parquet`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.ablation_table import table_of
from attention_motifs.atlas.head_distances import stored_distances
from attention_motifs.errors import InputError, ResourceError
from attention_motifs.executors import LOCAL, Executor, Job
from attention_motifs.head import HeadId
from attention_motifs.progress import Report, silent
from attention_motifs.stages.ablation import rows as rows_of
from attention_motifs.stages.ablation.sequences import sequences_of
from attention_motifs.stages.ablation.settings import Settings, checked
from attention_motifs.stages.ablation.targets import Target, classes_of, near_heads, strongest_heads
from attention_motifs.stages.stage import under_lock
from attention_motifs.store import files

if TYPE_CHECKING:
    import polars as pl

    from attention_motifs.behaviour import Ablation, Calibration, Design, SweepPlan
    from attention_motifs.models.model import LoadedModel
    from attention_motifs.store.paths import AtlasFile

N_NEAREST = 5
_VERSION = 1
_PART_ABLATIONS = 64
"""Ablations per part: what is redone after a stop."""


@under_lock
def ablate(
    atlas: Atlas,
    target: Target,
    settings: Settings | None = None,
    *,
    model: str | None = None,
    executor: Executor = LOCAL,
    report: Report = silent,
) -> pl.DataFrame:
    """Ablate a set of heads together, and layer-matched random sets of heads.

    Args:
        atlas: receives the rows, in place of those of the same experiment.
        target: the heads.
        settings: default: `Settings()`.
        model: place of a local model, as NAME=PATH; default: the place recorded in the atlas.
        executor: runs the measurements; default: this process. The rows are the same.
        report: shows progress.

    Returns:
        The rows of this experiment.

    Raises:
        InputError: if a setting is not usable, or the atlas has too few prompts of full length.
        ModelError, ResourceError: if the model cannot be loaded, ablated, or will not fit.
    """
    from attention_motifs.behaviour import Ablation
    from attention_motifs.evaluation.effects import control_sets
    from attention_motifs.evaluation.null import generator

    chosen = checked(settings)
    run = _Run(atlas, target.model, chosen, model, report, executor)
    index = {head: i for i, head in enumerate(run.heads)}
    members = np.array([index[head] for head in target.heads])
    rng = generator(chosen.seed, "controls", target.name)
    layers = rows_of.candidate_layers(run.heads, run.layers, target)
    sets = control_sets(members, layers, chosen.n_controls, rng)
    controls = [tuple(run.heads[i] for i in members) for members in sets]
    ablations = tuple(
        Ablation(tuple((head.layer, head.index) for head in heads))
        for heads in (target.heads, *controls)
    )
    rows: list[dict[str, Any]] = []
    for measured in run.measured(ablations, target.name):
        if np.isfinite(measured.effects).all():
            rows += rows_of.set_rows(measured, target, controls)
    return _write(atlas, rows)


@under_lock
def sweep(
    atlas: Atlas,
    model: str,
    settings: Settings | None = None,
    *,
    anchors: Sequence[str] = (),
    n_nearest: int = N_NEAREST,
    requested: str | None = None,
    executor: Executor = LOCAL,
    report: Report = silent,
) -> pl.DataFrame:
    """Ablate every head of a model alone; compare classes and look-alikes with their layers.

    Groups are the classes with two heads or more, and the nearest of every anchor by every metric
    of the atlas; for the anchors distance is also held against effect.

    Args:
        atlas: with the behaviour scores of the model.
        model: its name in the atlas.
        settings: default: `Settings()`.
        anchors: heads of the model, in addition to the strongest of each computed class.
        n_nearest: number of look-alikes of an anchor in a group.
        requested: place of a local model, as NAME=PATH.
        executor: runs the measurements; default: this process. The rows are the same.
        report: shows progress.

    Raises:
        InputError: as `ablate`, or if the atlas does not hold the model, or an anchor is not of it.
        ModelError, ResourceError: as `ablate`.
    """
    from attention_motifs.behaviour import Ablation

    chosen = checked(settings)
    asked = _anchors(atlas, model, anchors)
    run = _Run(atlas, model, chosen, requested, report, executor)
    stored = stored_distances(atlas)
    groups = classes_of(atlas, model)
    groups += [near_heads(atlas, a, n_nearest, metric) for a in asked for metric in stored]
    positions = np.array([atlas.head_index(head) for head in run.heads])
    to_anchors = {
        (anchor, metric): distances.row(atlas.head_index(anchor))[positions]
        for anchor in asked
        for metric, distances in stored.items()
    }
    rows: list[dict[str, Any]] = []
    ablations = tuple(Ablation(((head.layer, head.index),)) for head in run.heads)
    for measured in run.measured(ablations, "sweep"):
        rows += rows_of.head_rows(measured, run.heads, run.layers)
        rows += [
            row
            for target in groups
            if (row := rows_of.group_row(measured, run.heads, run.layers, target))
        ]
        rows += [
            rows_of.distance_row(measured, run.heads, run.layers, d.astype(float), *of)
            for of, d in to_anchors.items()
        ]
    return _write(atlas, rows)


def _anchors(atlas: Atlas, model: str, more: Sequence[str]) -> list[str]:
    """Return the heads whose look-alikes are compared, in order, each once."""
    heads = {HeadId.parse(head) for head in more}
    for head in heads:
        atlas.head_index(head)
        if head.model != model:
            raise InputError(f"--near {head}: is not of {model}, whose heads are swept")
    heads |= {HeadId.parse(head) for head in strongest_heads(atlas, model).values()}
    return [str(head) for head in sorted(heads)]


class _Run:
    """One model, loaded with its language-model head, and its designs."""

    def __init__(
        self,
        atlas: Atlas,
        model: str,
        settings: Settings,
        requested: str | None,
        report: Report = silent,
        executor: Executor = LOCAL,
    ) -> None:
        from attention_motifs.stages.score import load_scored_model

        self.atlas, self.model, self.settings, self.report = atlas, model, settings, report
        self.requested, self.executor = requested, executor
        self.loaded: LoadedModel = load_scored_model(
            atlas, model, requested, settings.device, report, language_head=True
        )
        info = self.loaded.info
        self.heads = [HeadId(model, layer, i) for layer in info.layers for i in range(info.n_heads)]
        self.layers = np.array([head.layer for head in self.heads])
        self.sequences = {
            of_design.design.name: of_design
            for of_design in sequences_of(atlas, self.loaded, settings)
        }
        self._calibrations: dict[str, Calibration] = {}

    def measured(
        self, ablations: tuple[Ablation, ...], experiment: str
    ) -> Iterator[rows_of.Measured]:
        """Measure by every method on every design; yield each measure, to be tested.

        Parts that exist are read.
        """
        try:
            results = self._measure(ablations, experiment)
        finally:
            self.executor.close()
            _runs.clear()
        with self.report(f"intervals and tests of {experiment}", len(results)) as advance:
            for measure in results:
                yield measure
                advance(1)

    def _measure(self, ablations: tuple[Ablation, ...], experiment: str) -> list[rows_of.Measured]:
        results: list[rows_of.Measured] = []
        for method in self.settings.methods:
            for of_design in self.sequences.values():
                design = of_design.design
                values = self._parts(self.plan(ablations, method, design))
                constant = {
                    "experiment": experiment,
                    "model": self.model,
                    "method": method,
                    "reference": of_design.reference(method),
                    "design": design.name,
                    "n_sequences": len(design.token_ids),
                    "n_positions": len(design.positions),
                    "seed": self.settings.seed,
                }
                results += [
                    rows_of.Measured(name, clean, ablated, constant)
                    for name, (clean, ablated) in values.items()
                    if np.isfinite(ablated).any()
                ]
        return results

    def plan(self, ablations: tuple[Ablation, ...], method: str, design: Design) -> SweepPlan:
        """What is measured by one method on one design; calibrated when parts are missing."""
        from attention_motifs.behaviour import SweepPlan
        from attention_motifs.behaviour.sweep import donors_for
        from attention_motifs.evaluation.null import generator

        donors = None
        if method == "resample":
            rng = generator(self.settings.seed, "donors", design.name)
            donors = donors_for(len(design.token_ids), rng)
        return SweepPlan(design, ablations, method, self._induction_heads(), donors=donors)

    def _calibration(self, design: str) -> Calibration:
        """Return the mean outputs of the heads on other sequences of a design."""
        import torch

        from attention_motifs.behaviour import calibrate

        if design not in self._calibrations:
            others = torch.from_numpy(self.sequences[design].calibration)
            title = f"mean outputs of the heads of {self.loaded.info.name} ({design})"
            with self.report(title, 1):
                self._calibrations[design] = calibrate(self.loaded, others)
        return self._calibrations[design]

    def _induction_heads(self) -> tuple[tuple[int, int], ...]:
        import polars as pl

        from attention_motifs.behaviour import CLASS_THRESHOLDS

        scored = self.atlas.heads.filter(pl.col("model") == self.model)
        if "induction" not in scored.columns or scored["induction"].null_count():
            raise InputError(
                f"{self.model}: its behaviour is not scored yet; run "
                f"{self.atlas.paths.command('score')}"
            )
        strong = scored.filter(pl.col("induction") >= CLASS_THRESHOLDS["induction"])
        return tuple(strong.select("layer", "index").iter_rows())

    def _parts(self, plan: SweepPlan) -> dict[str, tuple[Any, Any]]:
        from attention_motifs.behaviour.sweep import BLOCK_SEQUENCES

        design, n = plan.design, len(plan.ablations)
        inputs = self._digest(plan)
        needed = _require_memory(self.loaded, plan)
        blocks = [
            range(s, min(s + BLOCK_SEQUENCES, len(design.token_ids)))
            for s in range(0, len(design.token_ids), BLOCK_SEQUENCES)
        ]
        spans = [slice(s, min(s + _PART_ABLATIONS, n)) for s in range(0, n, _PART_ABLATIONS)]
        paths = [
            self.atlas.file("ablation_parts", model=self.model, inputs=inputs, part=part)
            for part in range(len(blocks) * len(spans))
        ]
        values: dict[str, Any] = {}
        title = (
            f"ablate {self.model} ({plan.method}, {design.name}, {n} ablations; needs "
            f"{needed / 2**20:.0f} MiB beside the model)"
        )
        self._measure_missing(plan, [(b, span) for b in blocks for span in spans], paths, title)
        for b, block in enumerate(blocks):
            for n_span, span in enumerate(spans):
                part = self._read(paths[b * len(spans) + n_span], plan, block, span)
                for name, both in part.items():
                    whole = values.setdefault(name, np.full((2, n, len(design.token_ids)), np.nan))
                    whole[:, span, block.start : block.stop] = both
        return {name: (both[0], both[1]) for name, both in values.items()}

    def _measure_missing(
        self,
        plan: SweepPlan,
        cuts: Sequence[tuple[range, slice]],
        paths: Sequence[AtlasFile],
        title: str,
    ) -> None:
        """Let the executor measure and write the parts that are missing."""
        missing = [(cut, path) for cut, path in zip(cuts, paths, strict=True) if not path.is_file()]
        if not missing:
            return
        recipe = (str(self.atlas.path.resolve()), self.model, self.settings, self.requested)
        run = self.executor.share(self, recipe)
        jobs = [
            Job(
                f"{self.model}, {plan.method}, {plan.design.name}, sequences {block.start} to "
                f"{block.stop - 1}, ablations {span.start} to {span.stop - 1}",
                f"{__name__}:measure_part",
                (
                    *(run, (plan.method, plan.design.name), plan.ablations[span], block),
                    *(path.name, span.start == block.start == 0),
                ),
                loads=self.model,
                steps=span.stop - span.start,
            )
            for (block, span), path in missing
        ]
        with self.report(title, sum(job.steps for job in jobs)) as advance:
            self.executor.run(jobs, advance)

    def write(self, name: str, plan: SweepPlan, block: range, *, check: bool) -> None:
        """Measure and write one part.

        Args:
            name: name of the part within the atlas.
            plan: with the ablations of the part.
            block: sequences of the design.
            check: whether to check first that ablating nothing changes nothing.
        """
        import polars as pl

        from attention_motifs.behaviour import NEEDS_CALIBRATION, measure_block, measures_on

        if plan.method in NEEDS_CALIBRATION:
            plan = replace(plan, calibration=self._calibration(plan.design.name))
        measured = measure_block(self.loaded, plan, block, check=check)
        columns = {n: np.stack(measured[n]).reshape(-1) for n in measures_on(plan.design.name)}
        part = self.atlas.paths.file_named(name)
        files.write_parquet(part or self.atlas.path / name, pl.DataFrame(columns))

    @staticmethod
    def _read(path: AtlasFile, plan: SweepPlan, block: range, span: slice) -> dict[str, Any]:
        """Read one part: measures by name, (2, ablations, sequences)."""
        from attention_motifs.behaviour import measures_on

        names = measures_on(plan.design.name)
        shape = (2, span.stop - span.start, len(block))
        table = files.read_parquet(path, "delete it and run the same command again", names)
        return {name: table[name].to_numpy().reshape(shape) for name in names}

    def _digest(self, plan: SweepPlan) -> str:
        from attention_motifs.behaviour import measures_on

        info = self.loaded.info
        return files.digest(
            {
                "version": _VERSION,
                "measures": measures_on(plan.design.name),
                "part": _PART_ABLATIONS,
                "weights": info.weights_sha256,
                "dtype": info.dtype,
                "method": plan.method,
                "design": plan.design.name,
                "tokens": plan.design.token_ids.tolist(),
                "positions": plan.design.positions.tolist(),
                "donors": None if plan.donors is None else plan.donors.tolist(),
                "ablations": [ablation.heads for ablation in plan.ablations],
                "induction": plan.induction_heads,
                "calibration": self.sequences[plan.design.name].calibration.tolist(),
            }
        )


_Recipe = tuple[str, str, Settings, str | None]
_runs: dict[_Recipe, _Run] = {}
"""The run that this process measured for last: its model stays loaded."""


def measure_part(
    run: _Run | _Recipe,
    design_of: tuple[str, str],
    ablations: tuple[Ablation, ...],
    sequences: range,
    part: str,
    check: bool,
) -> None:
    """Measure and write one part in any process that sees the folder of the atlas.

    Args:
        run: the run, or what it is made from: path of the atlas, model, settings, and path of a
            local model.
        design_of: method and name of the design.
        ablations: those of the part.
        sequences: those of the design.
        part: name of the part within the atlas.
        check: see `_Run.write`.
    """
    here = run if isinstance(run, _Run) else _run_of_process(run)
    method, name = design_of
    plan = here.plan(ablations, method, here.sequences[name].design)
    here.write(part, plan, sequences, check=check)


def _run_of_process(recipe: _Recipe) -> _Run:
    if recipe not in _runs:
        _runs.clear()  # before the next model needs the memory
        path, model, settings, requested = recipe
        _runs[recipe] = _Run(Atlas.open(path), model, settings, requested)
    return _runs[recipe]


def _require_memory(loaded: LoadedModel, plan: Any) -> int:
    from attention_motifs.behaviour import memory_needed
    from attention_motifs.extraction.loading import free_memory

    needed = memory_needed(loaded, plan)
    free = free_memory(loaded.model.device)
    if free is not None and needed > free:
        raise ResourceError(
            f"{loaded.info.name}: ablating it takes {needed / 1e9:.1f} GB beside the model and "
            f"{free / 1e9:.1f} GB are free; use another --device, or a smaller model"
        )
    return needed


def _write(atlas: Atlas, rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Replace the rows of the same run on the same design, and correct all p again.

    Returns:
        The rows of this run.
    """
    import polars as pl

    new = table_of(rows)
    keys = ["experiment", "model", "method", "design"]
    if atlas.file("ablations").is_file():
        kept = atlas.ablations.join(new.select(keys).unique(), on=keys, how="anti")
        table = pl.concat([kept, new])
    else:
        table = new
    table = rows_of.corrected(table)
    files.write_parquet(atlas.file("ablations"), table)
    return table.join(new.select(keys).unique(), on=keys, how="semi")
