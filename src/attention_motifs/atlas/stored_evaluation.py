"""The evaluation that an atlas holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attention_motifs.errors import AtlasError, InputError
from attention_motifs.store import files

if TYPE_CHECKING:
    from attention_motifs.atlas.folder import AtlasFolder
    from attention_motifs.evaluation import Evaluation


def read_evaluation(atlas: AtlasFolder) -> Evaluation:
    """Return the evaluation that the atlas holds.

    Raises:
        AtlasError: if there is none, it is damaged, or it is of an earlier version.
    """
    from attention_motifs.evaluation import Evaluation

    file = atlas.file("evaluation")
    try:
        return Evaluation.from_json(files.read_json(file))
    except InputError as error:
        raise AtlasError(f"{file}: {error}") from error
