"""The public class of an atlas: its tables, and the questions one asks it.

The module of a question is loaded when the question is asked, so that each command starts fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from attention_motifs.atlas import blocks
from attention_motifs.atlas.folder import AtlasFolder
from attention_motifs.atlas.prompt_labels import Where, described, prompts_where
from attention_motifs.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from matplotlib.figure import Figure

    from attention_motifs.atlas.contrast import Contrast
    from attention_motifs.atlas.explanation import Explanation
    from attention_motifs.atlas.head_record import HeadRecord
    from attention_motifs.atlas.named_arrays import HeadPatterns, NamedArray
    from attention_motifs.atlas.near_table import NearHeads
    from attention_motifs.atlas.text_patterns import TextPatterns
    from attention_motifs.atlas.why import Why
    from attention_motifs.embedding.recommended import RecommendedEmbedding
    from attention_motifs.evaluation import IdentifiedPattern
    from attention_motifs.head import HeadId
    from attention_motifs.viewer.contract import ViewNote
    from attention_motifs.viewer.widget import PatternView


class Atlas(AtlasFolder):
    """An atlas on disk. Opening reads `atlas.json` only; tables are read when they are used.

    Attributes:
        paths: its files by name.
        manifest: contents of `atlas.json`.

    Example:
        >>> import attention_motifs as am
        >>> atlas = am.Atlas.open("demo-atlas")
        >>> n = atlas.heads.height
        >>> atlas.distances("mean").shape == (n, n)
        True
        >>> nearest = atlas.near(atlas.heads["head"][0], n=3, metric="mean")
        >>> nearest["rank"].to_list()
        [1, 2, 3]
    """

    @property
    def best_metric(self) -> str:
        """The best metric whose distances the atlas holds; `mean` without any."""
        stored = {*self.metrics(), *self.neighbour_metrics()}
        return next((metric for metric in blocks.BEST_METRICS if metric in stored), "mean")

    def block(self, name: str = "natural") -> RecommendedEmbedding:
        """Return the fitted embedding of a block of the presets (docs/distances.md).

        Args:
            name: name of the block.

        Raises:
            InputError: if no preset of this atlas has such a block.
            AtlasError: if the atlas lacks what the block is made from, the stage `embed` has not
                run since it came, or a file is damaged.
        """
        return blocks.fitted_block(self, blocks.block_named(self, name))

    def block_clouds(
        self, name: str = "natural", models: Sequence[str] | None = None
    ) -> Float[np.ndarray, "stimuli heads features"]:
        """Return the head clouds in the space of a block of the presets, float32.

        Args:
            name: name of the block.
            models: names of models; default: all.

        Raises:
            InputError, AtlasError: as `block`.
        """
        return blocks.block_clouds(self, blocks.block_named(self, name), models)

    def near(
        self,
        head: str | HeadId | Sequence[str | HeadId] | None = None,
        n: int = 10,
        metric: str | None = None,
        *,
        patterns: Any = None,
        tokens: Sequence[Sequence[str]] | None = None,
        where: Where | None = None,
        **filters: Any,
    ) -> NearHeads:
        """Return the nearest heads of one head or several, or of patterns of another head.

        `attention_motifs.atlas.queries` describes heads and their filters,
        `attention_motifs.atlas.near_patterns` patterns, their tokens and filters. The default
        metric is the best one that the atlas stores; for patterns, the distance in the space of
        `identify`. With `where`, such as `{"genre": "law"}`, the heads are compared on the prompts
        with these labels only.

        Returns:
            A polars frame, one row per head, nearest first: `rank`, `head`, `distance`,
            `percentile`, `p`, `classes`, `measured`, `model`, `layer` and `index`. A notebook shows
            each head with its most typical pattern.

        Raises:
            InputError: if both or neither of head and patterns are given; see these modules.
        """
        from attention_motifs.atlas import near_table, queries
        from attention_motifs.atlas.near_patterns import near_patterns

        if (head is None) == (patterns is None):
            raise InputError("nothing to compare, or two things: give a head or patterns")
        if where is not None:
            return self.where(where).near(
                head, n, metric, patterns=patterns, tokens=tokens, **filters
            )
        if head is None:
            listed = near_patterns(self, patterns, n, metric, tokens=tokens, **filters)
            return near_table.of_patterns(self, listed, metric)
        chosen = self.best_metric if metric is None else metric
        listed = queries.near(self, head, n=n, metric=chosen, **filters)
        farthest = bool(filters.get("farthest"))
        return near_table.of_heads(self, listed, head, chosen, farthest=farthest)

    def features(
        self,
        heads: str | HeadId | Sequence[str | HeadId] | None = None,
        prompts: str | Sequence[str] | None = None,
        names: str | Sequence[str] | None = None,
    ) -> NamedArray:
        """Return features as an array with names; see `attention_motifs.atlas.named_arrays`."""
        from attention_motifs.atlas import named_arrays

        return named_arrays.features(self, heads, prompts, names)

    def patterns(self, head: str | HeadId) -> HeadPatterns:
        """Return the kept patterns of a head; see `attention_motifs.atlas.named_arrays`."""
        from attention_motifs.atlas import named_arrays

        return named_arrays.patterns(self, head)

    def identify(self, patterns: Any, n: int = 5, **options: Any) -> list[IdentifiedPattern]:
        """Return the heads that patterns are from; see `attention_motifs.atlas.identify`."""
        from attention_motifs.atlas.identify import identify

        return identify(self, patterns, n, **options)

    def identify_on_prompt(
        self, head: str | HeadId, prompt_id: str, n: int = 5, **options: Any
    ) -> IdentifiedPattern:
        """Identify a head of this atlas on one of its prompts, from all other prompts.

        See `attention_motifs.atlas.identify`.
        """
        from attention_motifs.atlas.identify import identify_on_prompt

        return identify_on_prompt(self, head, prompt_id, n, **options)

    def head(self, head: str | HeadId, **options: Any) -> HeadRecord:
        """Return all facts about a head; see `attention_motifs.atlas.head_record`."""
        from attention_motifs.atlas.head_record import head_record

        return head_record(self, head, **options)

    def explain(
        self, head: str | HeadId, metric: str | None = None, where: Where | None = None
    ) -> Explanation:
        """Return what a head does, with the evidence; see `attention_motifs.atlas.explanation`."""
        from attention_motifs.atlas.explanation import explain

        return explain(self if where is None else self.where(where), head, metric)

    def distances(
        self, metric: str = "mean", where: Where | None = None
    ) -> Float[np.ndarray, "heads heads"]:
        """Return a distance matrix in the order of `heads`, float32.

        Args:
            metric: name of a metric.
            where: labels, such as `{"genre": "law"}`: the distances on the prompts that have them
                are computed. Default: the stored distances, on all prompts.

        Raises:
            InputError: if no prompt has the labels.
            AtlasError: if the distances are not stored, or only the nearest heads are kept (see
                `neighbours`), or the file is damaged or of another size.
        """
        if where is not None:
            return self.where(where).distances(metric)
        return super().distances(metric)

    def where(self, where: Where) -> Atlas:
        """Return this atlas on some of its prompts: those that have all of the given labels.

        Args:
            where: label -> value, or list of allowed values. `source` is a label of every prompt.

        Returns:
            An atlas that is only read. Its embedding is that of all prompts, and its distances are
            computed when they are used.

        Raises:
            InputError: if no prompt has such labels.

        Example:
            >>> import attention_motifs as am
            >>> atlas = am.Atlas.open("demo-atlas")
            >>> some = atlas.where({"source": atlas.prompts["source"][0]})
            >>> 1 <= some.prompts.height <= atlas.prompts.height
            True
        """
        # The class of the result is made from this one, so it is loaded by its name.
        some_prompts = import_module("attention_motifs.atlas.some_prompts")
        some: Atlas = some_prompts.AtlasOnPrompts(
            self, prompts_where(self, where), described(where)
        )
        return some

    def contrast(self, where: Where, against: Where, **options: Any) -> Contrast:
        """Compare each head on two sets of prompts; see `attention_motifs.atlas.contrast`."""
        from attention_motifs.atlas.contrast import contrast

        return contrast(self, where, against, **options)

    def why(self, head: str | HeadId, other: str | HeadId, metric: str | None = None) -> Why:
        """Return what makes two heads near or far; see `attention_motifs.atlas.why`."""
        from attention_motifs.atlas.why import why

        return why(self, head, other, metric)

    def view(self, head: str | HeadId, prompt: str | int = 0, **options: Any) -> PatternView:
        """Show a head on a prompt, in a notebook or file; see `attention_motifs.atlas.view`."""
        from attention_motifs.atlas.view import view

        return view(self, head, prompt, **options)

    def on(self, text: str, **options: Any) -> TextPatterns:
        """Run the models on a text of your own; see `attention_motifs.live.on_text`.

        Args:
            text: the text.
            options: `against` (another text), `model`, `max_tokens` and `device`.

        Example:
            >>> import attention_motifs as am
            >>> settings = am.Configuration(
            ...     models="smollm2-135m-instruct", n_prompts=4, max_tokens=16, n_components=4,
            ...     feature_sets="paper", n_view_prompts=1,
            ... )
            >>> atlas = am.build("text-atlas", settings, metrics=["mean"], score=False)
            >>> read = atlas.on("one two three one two three")
            >>> read.patterns(read.table["head"][0]).shape
            (6, 6)
        """
        # It loads models as the stages do, so its package is above this one.
        read: TextPatterns = import_module("attention_motifs.live.on_text").on_text(
            self, text, **options
        )
        return read

    def head_notes(self, model: str) -> tuple[str, list[ViewNote]]:
        """Return verdicts and nearest heads; see `attention_motifs.atlas.head_notes`."""
        from attention_motifs.atlas.head_notes import head_notes

        return head_notes(self, model)

    def plot(self, name: str, *arguments: Any, **options: Any) -> Figure:
        """Draw a figure, such as `atlas.plot("distances")`; see `attention_motifs.figures.plot`."""
        # Figures read atlases, so their package is above this one and is loaded by its name.
        figure: Figure = import_module("attention_motifs.figures.plot").plot(
            self, name, *arguments, **options
        )
        return figure
