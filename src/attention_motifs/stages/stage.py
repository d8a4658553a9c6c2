"""The lock, the journal of finished steps and the progress, which all stages share."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError
from attention_motifs.progress import Advance, Report, silent
from attention_motifs.store import files
from attention_motifs.store.paths import AtlasFile

P = ParamSpec("P")
R = TypeVar("R")


def under_lock(stage: Callable[Concatenate[Atlas, P], R]) -> Callable[Concatenate[Atlas, P], R]:
    """Make a stage hold the lock of its first argument, the atlas, while it runs.

    A stage that another one calls, or that runs within `writing`, shares the lock.
    """

    @functools.wraps(stage)
    def run(atlas: Atlas, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if not isinstance(atlas, Atlas):
            raise InputError(
                f"atlas={atlas!r:.80}: expected an Atlas. Open one with Atlas.open(PATH)"
            )
        with atlas.locked():
            return stage(atlas, *args, **kwargs)

    return run


@dataclass(frozen=True)
class Stage:
    """A step of the work on an atlas, recorded in the journal of `atlas.json`.

    Attributes:
        name: key in the journal, such as `embed` or `distances:mean`.
        inputs: JSON value of everything that the outputs depend on.
        title: text of the progress bar.
        outputs: files that must exist for the step to count as finished.
        steps: length of the progress bar.
    """

    name: str
    inputs: Any
    title: str
    outputs: tuple[AtlasFile, ...] = ()
    steps: int = 1

    @property
    def digest(self) -> str:
        """Digest of the inputs, as recorded in the journal."""
        return files.digest(self.inputs)

    def is_finished(self, atlas: Atlas) -> bool:
        """Return whether the step was finished from the same inputs and its files exist."""
        return atlas.is_finished(self.name, self.digest) and all(
            file.is_file() for file in self.outputs
        )

    def run(
        self,
        atlas: Atlas,
        make: Callable[[Advance], Mapping[str, Any] | None],
        *,
        force: bool = False,
        report: Report = silent,
    ) -> bool:
        """Run the step under the lock of the atlas, unless it is finished, and record it.

        Args:
            atlas: the atlas that the step works on.
            make: writes the outputs; called with the function that advances the progress bar.
                It may return other fields of the manifest to change with the journal.
            force: run it although it is finished.
            report: shows progress.

        Returns:
            Whether it ran.

        Raises:
            AtlasError: if another run holds the lock.
        """
        with atlas.locked():
            if self.is_finished(atlas) and not force:
                return False
            with report(self.title, self.steps) as advance:
                changes = make(advance) or {}
            self.record(atlas, changes)
        return True

    def record(self, atlas: Atlas, changes: Mapping[str, Any] | None = None) -> None:
        """Record the step as finished, together with other changes of the manifest."""
        stages = {**atlas.manifest.stages, self.name: self.digest}
        atlas.update(**{"stages": stages, **(changes or {})})


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[Atlas]:
    """Open an atlas and hold its lock, for several stages in a row.

    Raises:
        AtlasError: if there is no atlas, or another run holds it.
        ResourceError: if the folder cannot be written.
    """
    with Atlas.lock(path):
        yield Atlas.open(path)
