"""The data files of an exported site: their fields and types.

The export builds these dataclasses and writes them as JSON. `web/src/contract/generated.ts` is
generated from them by `python -m attention_motifs.site.typescript`, and a test compares the two.

Large arrays are in binary files, little-endian, one `Column` after the other, each starting at a
multiple of 4 bytes. Every file but `manifest.json` is gzip-compressed if that makes it smaller; the
reader recognises this by the magic bytes. (Some hosts unpack `.gz` themselves, so these files have
the suffixes `.bin` and `.json.bin`.) Paths are relative to the folder `data/` of the site. They are
made of numbers and fixed names, never of names of models, metrics or prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attention_motifs.evaluation.table import HeadlineCell as EvaluationCell  # noqa: F401 - of a line
from attention_motifs.evaluation.table import HeadlineRow as EvaluationLine
from attention_motifs.evaluation.table import Row as EvaluationRow
from attention_motifs.evaluation.table import TagAgreement as EvaluationTag
from attention_motifs.site.contract_distances import (
    DistanceMetric,
    DistanceTiles,  # noqa: F401 - of a metric
    HeadFiles,
)
from attention_motifs.site.contract_explanations import (
    ClassProbability,  # noqa: F401 - of an explanation
    HeadExplanation,  # noqa: F401 - of a file that the manifest names
    LabelledNeighbour,  # noqa: F401 - of an explanation
    Motif,
    PromptOfHead,  # noqa: F401 - of an explanation
)
from attention_motifs.site.contract_live import (
    LiveAnswer,  # noqa: F401 - of the page of the user's own text
    LiveDifference,  # noqa: F401 - of an answer
    LiveError,  # noqa: F401 - of the same page
    LiveKept,  # noqa: F401 - of the same page
    LiveReading,  # noqa: F401 - of an answer
    LiveState,  # noqa: F401 - of the same page
)

SITE_SCHEMA = 2
"""Version of these files. The pages refuse other versions."""

Dtype = Literal["float16", "float32", "uint8", "uint16", "uint32", "int32"]
Json = str | int | float | bool | None


@dataclass(frozen=True)
class Column:
    """A vector in a binary file."""

    name: str
    dtype: Dtype
    offset: int
    """Bytes from the start of the unpacked file."""
    length: int
    """Number of elements. NaN stands for a missing number."""
    labels: list[str] | None = None
    """Labels of the codes 0, 1, ... The largest code of the type means "none"."""


@dataclass(frozen=True)
class Table:
    """Columns of equal length in one binary file."""

    file: str
    bytes: int
    """Size of the stored file."""
    n_rows: int
    columns: list[Column]


@dataclass(frozen=True)
class Model:
    """A model; its place in `Manifest.models` is its code. Heads of a model are contiguous rows."""

    name: str
    architecture: str
    n_layers: int
    n_heads: int
    layers: list[int]
    """Numbers of the layers whose heads are in the atlas, in order; of a hybrid, those with softmax
    attention."""
    n_parameters: int
    first_row: int
    """Row of the first head; head H of layer `layers[i]` is row first_row + i * n_heads + H."""
    bos: bool
    """Whether its prompts begin with a BOS token."""
    dtype: str
    licence: str
    source: str
    revision: str | None
    weights_sha256: str
    added: bool
    """Whether it was added to the saved embedding, which was not fitted on it."""
    family: str
    """Name of a group of related models; the architecture if it is not known."""
    tokens: str
    """JSON file: `Tokens` of this model."""
    explanations: list[str]
    """JSON files, one per layer: list of `HeadExplanation`, one per head. Empty if the atlas holds
    no motif shares."""
    patterns: PatternFiles


@dataclass(frozen=True)
class PatternFiles:
    """Packed patterns of a model on the viewable prompts and probes.

    Heads are numbered as in `HeadFiles`. Head i on `prompts[j]` is in the file
    `<folder>/<i // n_heads>-<j // n_prompts>.bin`. Unpacked, it holds for each of its prompts and
    for each of its heads, in order: the lower triangle row by row, n (n + 1) / 2 bytes of
    round(255 * sqrt(weight)). n is `Prompt.n_tokens` of the model, and so differs between prompts.
    """

    folder: str
    n_heads: int
    """Heads per file; it divides the number of heads of a layer."""
    n_prompts: int
    """Prompts per file; the last has the rest."""
    prompts: list[int]
    """Indices into the list of prompts."""


@dataclass(frozen=True)
class Pictures:
    """Mean pattern of every head over the viewable prompts, without probes, as a small picture."""

    side: int
    """Number of blocks of tokens; the first token is a block of its own."""
    files: list[str]
    """Per model: uint8 file (heads, side (side + 1) / 2), lower triangles row by row,
    round(255 * sqrt(weight)). A weight is the mean of the largest weights of its block."""
    classes: str
    """uint8 file (classes, side (side + 1) / 2): the mean over the heads of each class, in the
    order of the classes, in the same bytes. A class without heads is 0."""


@dataclass(frozen=True)
class Prompt:
    """A prompt, or a probe: a sequence of token ids. Probes come after all prompts.

    Points, features and distances between patterns are of prompts alone. The text is data, never
    markup. It is unchanged: it may hold control characters and characters that turn the direction.
    """

    id: str
    source: str
    text: str
    """Its beginning, at most 1,000 characters."""
    cut: bool
    """Whether the text is longer."""
    n_tokens: list[int]
    """Per model."""
    viewable: bool
    """Whether patterns on it are in the site."""
    labels: dict[str, list[str]]
    """Values of its labels, as texts; its source is one of them. Empty for a probe."""
    group: Literal["prompts", "probes"]


@dataclass(frozen=True)
class Tokens:
    """Tokens of the viewable prompts and probes, for one model."""

    prompts: list[int]
    """Indices into the list of prompts."""
    tokens: list[list[str]]
    """Tokens of each prompt. A token of more than 100 characters is cut and ends in `…`."""


@dataclass(frozen=True)
class Projection:
    """Coordinates of heads: columns x, y (and z), float32, of the rows of the scope."""

    scope: str
    """`all`, or the name of a model whose rows alone are placed."""
    metric: str
    method: str
    n_neighbors: int
    n_components: int
    trustworthiness: float | None
    continuity: float | None
    n_pieces: int
    note: str
    file: str
    bytes: int


@dataclass(frozen=True)
class Points:
    """Every pattern as a point: row prompt * H + head, over all prompts.

    Each column is a file, which is fetched when it becomes an axis or a colour.
    """

    n_prompts: int
    n_components: int
    variance: list[float]
    """Share of variance per component."""
    components: list[str]
    """float16 files, one per component."""
    features: list[PointFeature]
    prompts: list[str]
    """Per prompt: float32 file (H, n_components), for distances between patterns."""
    nearest: NearestPatterns | None
    """None without an embedding."""


@dataclass(frozen=True)
class NearestPatterns:
    """The nearest patterns on the same prompt of each pattern of the first prompts.

    Of the heads in the file `<k>.bin` of `files`, on prompt p: `<k>-<p>.bin`, float32 (heads, n),
    Euclidean distances in the embedding, nearest first, and `<k>-<p>-heads.bin`, uint32, the rows
    of the other heads. A distance that is not finite is NaN.
    """

    files: HeadFiles
    n_prompts: int
    """Prompts that can be viewed: the first ones, without probes."""
    n: int


@dataclass(frozen=True)
class PointFeature:
    """A feature of every pattern, in the order of `Points`; NaN where it is not finite."""

    name: str
    file: str
    dtype: Dtype
    """float16, or float32 if rounding would be visible."""


@dataclass(frozen=True)
class ClassTag:
    """A class that one source gives to one head."""

    row: int
    """Row of the head."""
    head_class: str
    paper: str
    url: str
    evidence: str
    note: str
    conflict: str


@dataclass(frozen=True)
class HeadClass:
    """A class of heads, from the literature or computed from a behaviour score."""

    name: str
    group: str
    colour: str
    description: str
    kind: Literal["literature", "computed"]
    rows: list[int]
    """Rows of the heads in the class; empty if the atlas has none."""
    elsewhere: list[str]
    """Heads of models that are not in this atlas."""


@dataclass(frozen=True)
class ClusterValidity:
    """Checks of a clustering; indices are adjusted Rand indices, None where not available."""

    largest_share: float
    """Share of the clustered heads in the largest cluster."""
    disjoint_halves: float | None
    """Agreement of two disjoint halves of the prompts."""
    disjoint_sources: float | None
    """The same with halves without a common source."""
    seeds: float | None
    """Agreement with other seeds."""
    stable_clusters: int | None
    """Clusters with a Jaccard index of 0.75 or more."""
    reference_draws: int | None
    """Of four draws of one Gaussian, those that are cut into clusters of which none dominates."""
    reference: float | None
    """Stability of the same clustering of one Gaussian, which has no clusters."""
    reference_largest: float | None
    """The largest of the draws of the Gaussian."""
    reference_halves: float | None
    """Agreement of disjoint halves of the Gaussian."""
    reference_stable_share: float | None
    """Share of the clusters of the Gaussian with a Jaccard index of 0.75 or more."""
    warning: str | None
    """Why the indices say nothing, if one cluster dominates."""


@dataclass(frozen=True)
class Clustering:
    """A stored clustering of the heads, with its tree."""

    method: str
    metric: str
    parameters: dict[str, Json]
    labels: str
    """int32 file, per head; -1 is unclustered."""
    linkage: str | None
    """float32 file (H - 1, 4), rows as scipy's: left, right, height, size; None without a tree."""
    names: dict[str, str]
    """Given names by cluster number, which is a text."""
    jaccard: list[float | None]
    """Stability of each cluster over resampled prompts."""
    adjusted_rand_mean: float | None
    adjusted_rand_spread: float | None
    validity: ClusterValidity | None
    """None for clusterings of older versions."""


@dataclass(frozen=True)
class Feature:
    """A feature, and its distribution over the patterns of the atlas."""

    name: str
    set: str
    context: str
    statistic: str
    formula: str
    """LaTeX."""
    low: float | None
    high: float | None
    """Range for causal patterns; None is unbounded."""
    large: str
    """Description of a pattern with a large value."""
    source: str
    cost: str
    kept: bool
    """Whether it varies over the patterns; constant features are not in the embedding."""
    mean: float
    deviation: float
    """Standard deviation over all patterns (ddof 0)."""
    n_missing: int
    """Number of patterns on which it is not finite."""
    histogram: list[int]
    """Counts of equal bins from `histogram_low` to `histogram_high`; end bins count outliers."""
    histogram_low: float
    histogram_high: float
    importance: list[float]
    """Squared loading times the variance share of each component; empty for features that are not
    in the embedding."""
    examples: list[FeatureExample]


@dataclass(frozen=True)
class FeatureExample:
    """A viewable pattern with a low, middle or high value of a feature."""

    level: Literal["low", "middle", "high"]
    row: int
    prompt: int
    value: float


@dataclass(frozen=True)
class Features:
    """The features of all sets of the atlas, in the order of the arrays below."""

    features: list[Feature]
    correlation: str
    """float16 file (F, F), correlation of the features over all patterns."""
    head_means: str
    """float32 file (H, F): mean over the prompts."""
    of_heads: HeadFiles
    """float32 (heads of the file, 3, F): mean over the prompts; its z-score (ddof 0) and its
    percentile among the heads. z-score and percentile are NaN if the heads do not differ."""
    of_patterns: HeadFiles
    """float32 (heads of the file, F), a file `<k>-<index>.bin` per viewable prompt."""


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of all metrics."""

    metrics: list[str]
    reference: str
    answer: list[str]
    """Sentences: what does not work, which metric to use, and by how much it is better."""
    headline: list[EvaluationLine]
    tags: list[EvaluationTag]
    missing: list[str]
    rows: list[EvaluationRow]
    """The statistic of a row is `too few heads` if there are too few; then it has no numbers."""


@dataclass(frozen=True)
class Score:
    """A behaviour score: columns `name` and `name spread` of the heads table."""

    name: str
    meaning: str
    threshold: float | None
    """Least score of heads in the computed class; None if there is no class."""
    histogram: list[int]
    """Counts of equal bins from 0 to `high`; end bins count the scores outside."""
    high: float
    """The largest score; 1 if no head has one."""


@dataclass(frozen=True)
class Download:
    """A file for other programs."""

    file: str
    title: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """`manifest.json`: fetched first; it names all other files."""

    schema: int
    version: str
    """Digest of all data files. Requests end in `?v=<version>`, so that no cache mixes two
    exports."""
    inputs: str
    """Digest of the inputs of the export, which is skipped while they stay the same."""
    package_version: str
    title: str
    models: list[Model]
    n_heads: int
    n_patterns: int
    settings: dict[str, Json]
    """Settings of the atlas, by titles for readers."""
    heads: Table
    """Columns: model (codes), layer, index, depth, class_group (code of the head's first class
    group, labels), one float16 column per score and its spread, one code column per clustering
    called `cluster <method>`."""
    scores: list[Score]
    measured: Table
    """Columns: row, score (codes, labels), value: the scores that reach their threshold."""
    scores_of_heads: HeadFiles
    """float32 (heads of the file, 3, number of scores): score; its spread; its percentile among the
    heads. NaN where missing."""
    verdicts: Table | None
    """Columns: verdict (codes, labels), probability (NaN if no other model has labelled heads)."""
    motifs: list[Motif]
    motif_shares: Table | None
    """One float16 column per motif: mean share over the prompts, per head."""
    explained_by: str | None
    """Metric of the explanations; None without them."""
    metrics: list[DistanceMetric]
    projections: list[Projection]
    points: Points
    pictures: Pictures | None
    """None if no prompt is kept for viewing."""
    clusterings: list[Clustering]
    prompts: str
    """JSON file: list of `Prompt`."""
    classes: str
    """JSON file: list of `HeadClass`."""
    tags: str
    """JSON file: list of `ClassTag`."""
    groups: dict[str, str]
    """Class group to its colour, #RRGGBB."""
    features: str
    """JSON file: `Features`."""
    evaluation: str | None
    """JSON file: `Evaluation`."""
    ablations: str | None
    """JSON file: `Ablations`."""
    downloads: list[Download]
    missing: dict[str, str]
    """Parts that the atlas does not hold (`projections`, `clusterings`, `scores`, `evaluation`,
    `ablations`, `patterns`...), with the command that makes each, in words."""


@dataclass(frozen=True)
class Ablations:
    """`ablations.parquet`, column by column: all lists are of equal length."""

    columns: dict[str, list[Json | list[str]]]
    """Only `heads` has lists. The documentation of ablations describes the columns."""
