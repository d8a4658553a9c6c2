// Generated from src/attention_motifs/site/contract.py by
//   python -m attention_motifs.site.typescript > web/src/contract/generated.ts
// Change that file, or the dataclasses that it imports, not this one: a test compares the two.

/** Means over behaviours and models, with bootstrap intervals where they exist. */
export interface EvaluationCell {
  readonly s5: number | null;
  readonly map: number | null;
  readonly s5_interval: readonly [number, number] | null;
  readonly map_interval: readonly [number, number] | null;
  /** Gain of the reference over this metric, and its interval. */
  readonly s5_gain: readonly [number, number, number] | null;
  readonly map_gain: readonly [number, number, number] | null;
}

/** One line of the headline table: a metric, the null, or a ceiling. */
export interface EvaluationLine {
  readonly name: string;
  readonly is_metric: boolean;
  /** By column: the kinds of labels within models, and `another model` (transfer). */
  readonly cells: Readonly<Record<string, EvaluationCell>>;
}

/** One statistic of one label, class, score or set of patterns; None if it is undefined. */
export interface EvaluationRow {
  readonly metric: string;
  /** A model, `A -> B` (queries in A, ranked in B), `B (fitted on A)`, or `all models`. */
  readonly model: string;
  /** `within` a model, `across` two models, or `transfer`: fitted on one, tested on another. */
  readonly setting: string;
  /** Behaviour, class, score, or what is measured of patterns or distances. */
  readonly name: string;
  /**
   * Kind of the labels (`random tokens`, `repeated text`, `plain text`), `literature` or `user`
   * (classes), `score`, `patterns` or `distances`.
   */
  readonly kind: string;
  readonly statistic: string;
  readonly n_queries: number;
  /** Number of relevant heads among those ranked; of S5 and patterns, all heads ranked. */
  readonly n_heads: number;
  readonly value: number | null;
  /** 95 % bootstrap interval over stimuli, label sequences and query heads. */
  readonly low: number | null;
  readonly high: number | null;
  /** Mean of the layer-matched null, or the value of chance. */
  readonly null_mean: number | null;
  readonly null_95: number | null;
  /** Of this statistic, compared with heads of the same layers. */
  readonly p: number | null;
  /** The same with key groups kept; None for models without them. */
  readonly p_groups: number | null;
  /** The smallest p to be expected. */
  readonly p_floor: number | null;
  /** Benjamini-Hochberg q-value of the larger of the two p, within the family. */
  readonly q: number | null;
  /** Rows that q is corrected over: one metric, setting, kind and statistic. */
  readonly family: string;
  /** Value less that of the reference metric, on the same resamples. */
  readonly difference: number | null;
  readonly difference_low: number | null;
  readonly difference_high: number | null;
  /** The same statistic of a perfect detector: the score computed on the atlas's own prompts. */
  readonly detector: number | null;
  /** The same statistic of distances that are differences of the exact score. */
  readonly exact: number | null;
  /** Standard deviation over random splits. */
  readonly spread: number | null;
}

/** How far a thresholded class reproduces itself on other random tokens. */
export interface EvaluationTag {
  readonly model: string;
  readonly name: string;
  readonly n_heads: number;
  /** Heads above the same threshold on the label sequences. */
  readonly n_again: number;
  readonly jaccard: number | null;
}

/** Distances of all heads by one metric. */
export interface DistanceMetric {
  readonly name: string;
  /** LaTeX. */
  readonly formula: string;
  readonly title: string;
  /** Differences that the metric does not see. */
  readonly blind: string;
  /** float32 rows of the matrix: (heads of the file, H), or (heads of the file, n_nearest). */
  readonly rows: HeadFiles;
  /**
   * None if rows are whole; else the number of nearest heads per head with known distances. The
   * file `<k>-heads.bin` next to `<k>.bin` then holds their rows (uint32), nearest first.
   */
  readonly n_nearest: number | null;
  /** uint16 codes of the whole matrix, H x H, for the heatmap; None if H is above 4,096. */
  readonly matrix: string | null;
  /**
   * Without `matrix`: uint16 codes (L, L) of the mean of the known distances between different
   * heads of two layers, of all layers of all models in order; else None.
   */
  readonly layers: string | null;
  /**
   * Without `matrix`, if the atlas stores the distances of all pairs: the matrix in tiles; else
   * None. `layers` then are means of all pairs too.
   */
  readonly tiles: DistanceTiles | null;
  /** Scale of the codes: distance = code * scale. Code 65535 means missing. */
  readonly scale: number;
  /**
   * Per model a: float32 file (M, 5, 101), quantiles 0 to 100 % of the distances between
   * different heads of model a and of model b whose depths differ by 0 to 0.2, 0.2 to 0.4, ... 0.8
   * to 1 (NaN if there is no such pair). They give the percentile of a distance among pairs as far
   * apart in depth.
   */
  readonly quantiles: ReadonlyArray<string>;
}

/**
 * Squares of the matrix of many heads at several zooms, so that a page fetches what it shows.
 *
 * Heads are in the order of the atlas. At zoom z, a cell is the mean distance of spans[z] x
 * spans[z] heads, without those of a head to itself, and a tile has side x side cells, fewer at
 * the end of the matrix. Tile (i, j) is the file `<folder>/<z>-<i>-<j>.bin`, uint16 codes row by
 * row. The matrix is symmetric: only tiles with i <= j are stored.
 */
export interface DistanceTiles {
  readonly folder: string;
  readonly side: number;
  /** Heads on each side of a cell; the last is 1. */
  readonly spans: ReadonlyArray<number>;
}

/**
 * Small files with a few heads each, so that a page fetches the heads that it shows.
 *
 * Heads of a model are numbered from its first row. Head i of the model with code m is in the file
 * `<folder>/<m>/<k>.bin` with k = i // per_file[m]; the last file of a model may have fewer heads.
 */
export interface HeadFiles {
  readonly folder: string;
  /** Heads per file, by model. */
  readonly per_file: ReadonlyArray<number>;
}

/** A class and its probability for a head; those of a head need not sum to 1. */
export interface ClassProbability {
  readonly name: string;
  readonly probability: number;
}

/** What a head does, with the evidence, as `motifs explain` prints it. */
export interface HeadExplanation {
  readonly sentence: string;
  readonly verdict: string;
  /** None if no other model has labelled heads. */
  readonly probability: number | null;
  /** Largest first, `unknown` included; without classes below 0.5 %. */
  readonly classes: ReadonlyArray<ClassProbability>;
  /** Mean share of each motif over the prompts, in the order of `Manifest.motifs`. */
  readonly shares: ReadonlyArray<number>;
  /** Their standard deviations. */
  readonly spreads: ReadonlyArray<number>;
  readonly nearest: ReadonlyArray<LabelledNeighbour>;
  /** Scores of what the head writes, and effects of ablating it. */
  readonly writes: Readonly<Record<string, number>>;
  readonly typical: ReadonlyArray<PromptOfHead>;
  readonly departs: ReadonlyArray<PromptOfHead>;
  /** Indices of the viewable prompts, those first on which the shares are nearest to the mean. */
  readonly viewed: ReadonlyArray<number>;
  /** Percentile of its labelled neighbours in the class if labels were dealt within layers. */
  readonly null_percentile: number | null;
  readonly would_change: string;
}

/** A labelled head near another one. */
export interface LabelledNeighbour {
  readonly row: number;
  readonly distance: number;
  readonly classes: ReadonlyArray<string>;
  /** Papers with their addresses, and measured scores. */
  readonly source: string;
}

/** A part of attention patterns: attention to one kind of tokens. */
export interface Motif {
  readonly name: string;
  readonly meaning: string;
  readonly colour: string;
}

/** A prompt, and how far the motif shares of a head on it are from their mean. */
export interface PromptOfHead {
  /** Index into the list of prompts. */
  readonly prompt: number;
  /** Half the sum of the absolute differences of the shares, 0 to 1. */
  readonly departure: number;
  /** The motif that differs most. */
  readonly motif: string;
  /** Its share on the prompt. */
  readonly share: number;
}

/** The answer to `POST live/read`. */
export interface LiveAnswer {
  readonly readings: ReadonlyArray<LiveReading>;
  /** One per model, if there were two texts. */
  readonly differences: ReadonlyArray<LiveDifference>;
}

/** How differently the heads of one model attend on two texts. */
export interface LiveDifference {
  readonly model: string;
  /** Share of attention that goes to other tokens; null if the numbers of tokens differ. */
  readonly moved: ReadonlyArray<number> | null;
  /** Distance between the two patterns, divided by the head's usual distance from its mean. */
  readonly distance: ReadonlyArray<number> | null;
}

/** The answer to a request that is refused. */
export interface LiveError {
  /** One line: what failed, why, and how to fix it. */
  readonly error: string;
}

/** The answer to `POST live/keep`. */
export interface LiveKept {
  readonly prompt_id: string;
  /** Name of the file within the atlas. */
  readonly file: string;
  /** Number of kept texts. */
  readonly n_kept: number;
  /** Whether the text was not kept, nor a prompt of the atlas, before. */
  readonly is_new: boolean;
  /** Builds an atlas that has the kept texts among its prompts. */
  readonly command: string;
}

/** Patterns of one model on one text. Lists have one entry per head, layer by layer. */
export interface LiveReading {
  readonly model: string;
  /** Place of the text in the request. */
  readonly text: number;
  readonly tokens: ReadonlyArray<string>;
  /** Whether the first token is BOS. */
  readonly bos: boolean;
  /** Whether the text has more tokens. */
  readonly is_cut: boolean;
  /** Numbers of the layers. */
  readonly layers: ReadonlyArray<number>;
  readonly n_heads: number;
  /** What the patterns were compared with, or why they were not. */
  readonly sentence: string;
  /**
   * How much farther than usual a pattern is from the mean of the head's patterns in the atlas,
   * in standard deviations; null if the atlas cannot say.
   */
  readonly unusual: ReadonlyArray<number> | null;
  /** This distance, divided by the usual one. */
  readonly distance: ReadonlyArray<number> | null;
  /** Share of the prompts of the atlas that are at least as far. */
  readonly share: ReadonlyArray<number> | null;
}

/** What the server can do: the answer to `GET live/state`. */
export interface LiveState {
  /** Names of the models in memory. */
  readonly models: ReadonlyArray<string>;
  /** Tokens to which a text is cut. */
  readonly max_tokens: number;
  /** Bytes of a text in UTF-8. */
  readonly max_bytes: number;
}

/** Version of these files. The pages refuse other versions. */
export const SITE_SCHEMA = 2 as const;

export type Dtype = "float16" | "float32" | "uint8" | "uint16" | "uint32" | "int32";

export type Json = string | number | boolean | null;

/** A vector in a binary file. */
export interface Column {
  readonly name: string;
  readonly dtype: Dtype;
  /** Bytes from the start of the unpacked file. */
  readonly offset: number;
  /** Number of elements. NaN stands for a missing number. */
  readonly length: number;
  /** Labels of the codes 0, 1, ... The largest code of the type means "none". */
  readonly labels: ReadonlyArray<string> | null;
}

/** Columns of equal length in one binary file. */
export interface Table {
  readonly file: string;
  /** Size of the stored file. */
  readonly bytes: number;
  readonly n_rows: number;
  readonly columns: ReadonlyArray<Column>;
}

/** A model; its place in `Manifest.models` is its code. Heads of a model are contiguous rows. */
export interface Model {
  readonly name: string;
  readonly architecture: string;
  readonly n_layers: number;
  readonly n_heads: number;
  /**
   * Numbers of the layers whose heads are in the atlas, in order; of a hybrid, those with softmax
   * attention.
   */
  readonly layers: ReadonlyArray<number>;
  readonly n_parameters: number;
  /** Row of the first head; head H of layer `layers[i]` is row first_row + i * n_heads + H. */
  readonly first_row: number;
  /** Whether its prompts begin with a BOS token. */
  readonly bos: boolean;
  readonly dtype: string;
  readonly licence: string;
  readonly source: string;
  readonly revision: string | null;
  readonly weights_sha256: string;
  /** Whether it was added to the saved embedding, which was not fitted on it. */
  readonly added: boolean;
  /** Name of a group of related models; the architecture if it is not known. */
  readonly family: string;
  /** JSON file: `Tokens` of this model. */
  readonly tokens: string;
  /**
   * JSON files, one per layer: list of `HeadExplanation`, one per head. Empty if the atlas holds
   * no motif shares.
   */
  readonly explanations: ReadonlyArray<string>;
  readonly patterns: PatternFiles;
}

/**
 * Packed patterns of a model on the viewable prompts and probes.
 *
 * Heads are numbered as in `HeadFiles`. Head i on `prompts[j]` is in the file
 * `<folder>/<i // n_heads>-<j // n_prompts>.bin`. Unpacked, it holds for each of its prompts and
 * for each of its heads, in order: the lower triangle row by row, n (n + 1) / 2 bytes of
 * round(255 * sqrt(weight)). n is `Prompt.n_tokens` of the model, and so differs between prompts.
 */
export interface PatternFiles {
  readonly folder: string;
  /** Heads per file; it divides the number of heads of a layer. */
  readonly n_heads: number;
  /** Prompts per file; the last has the rest. */
  readonly n_prompts: number;
  /** Indices into the list of prompts. */
  readonly prompts: ReadonlyArray<number>;
}

/** Mean pattern of every head over the viewable prompts, without probes, as a small picture. */
export interface Pictures {
  /** Number of blocks of tokens; the first token is a block of its own. */
  readonly side: number;
  /**
   * Per model: uint8 file (heads, side (side + 1) / 2), lower triangles row by row,
   * round(255 * sqrt(weight)). A weight is the mean of the largest weights of its block.
   */
  readonly files: ReadonlyArray<string>;
  /**
   * uint8 file (classes, side (side + 1) / 2): the mean over the heads of each class, in the
   * order of the classes, in the same bytes. A class without heads is 0.
   */
  readonly classes: string;
}

/**
 * A prompt, or a probe: a sequence of token ids. Probes come after all prompts.
 *
 * Points, features and distances between patterns are of prompts alone. The text is data, never
 * markup. It is unchanged: it may hold control characters and characters that turn the direction.
 */
export interface Prompt {
  readonly id: string;
  readonly source: string;
  /** Its beginning, at most 1,000 characters. */
  readonly text: string;
  /** Whether the text is longer. */
  readonly cut: boolean;
  /** Per model. */
  readonly n_tokens: ReadonlyArray<number>;
  /** Whether patterns on it are in the site. */
  readonly viewable: boolean;
  /** Values of its labels, as texts; its source is one of them. Empty for a probe. */
  readonly labels: Readonly<Record<string, ReadonlyArray<string>>>;
  readonly group: "prompts" | "probes";
}

/** Tokens of the viewable prompts and probes, for one model. */
export interface Tokens {
  /** Indices into the list of prompts. */
  readonly prompts: ReadonlyArray<number>;
  /** Tokens of each prompt. A token of more than 100 characters is cut and ends in `…`. */
  readonly tokens: ReadonlyArray<ReadonlyArray<string>>;
}

/** Coordinates of heads: columns x, y (and z), float32, of the rows of the scope. */
export interface Projection {
  /** `all`, or the name of a model whose rows alone are placed. */
  readonly scope: string;
  readonly metric: string;
  readonly method: string;
  readonly n_neighbors: number;
  readonly n_components: number;
  readonly trustworthiness: number | null;
  readonly continuity: number | null;
  readonly n_pieces: number;
  readonly note: string;
  readonly file: string;
  readonly bytes: number;
}

/**
 * Every pattern as a point: row prompt * H + head, over all prompts.
 *
 * Each column is a file, which is fetched when it becomes an axis or a colour.
 */
export interface Points {
  readonly n_prompts: number;
  readonly n_components: number;
  /** Share of variance per component. */
  readonly variance: ReadonlyArray<number>;
  /** float16 files, one per component. */
  readonly components: ReadonlyArray<string>;
  readonly features: ReadonlyArray<PointFeature>;
  /** Per prompt: float32 file (H, n_components), for distances between patterns. */
  readonly prompts: ReadonlyArray<string>;
  /** None without an embedding. */
  readonly nearest: NearestPatterns | null;
}

/**
 * The nearest patterns on the same prompt of each pattern of the first prompts.
 *
 * Of the heads in the file `<k>.bin` of `files`, on prompt p: `<k>-<p>.bin`, float32 (heads, n),
 * Euclidean distances in the embedding, nearest first, and `<k>-<p>-heads.bin`, uint32, the rows
 * of the other heads. A distance that is not finite is NaN.
 */
export interface NearestPatterns {
  readonly files: HeadFiles;
  /** Prompts that can be viewed: the first ones, without probes. */
  readonly n_prompts: number;
  readonly n: number;
}

/** A feature of every pattern, in the order of `Points`; NaN where it is not finite. */
export interface PointFeature {
  readonly name: string;
  readonly file: string;
  /** float16, or float32 if rounding would be visible. */
  readonly dtype: Dtype;
}

/** A class that one source gives to one head. */
export interface ClassTag {
  /** Row of the head. */
  readonly row: number;
  readonly head_class: string;
  readonly paper: string;
  readonly url: string;
  readonly evidence: string;
  readonly note: string;
  readonly conflict: string;
}

/** A class of heads, from the literature or computed from a behaviour score. */
export interface HeadClass {
  readonly name: string;
  readonly group: string;
  readonly colour: string;
  readonly description: string;
  readonly kind: "literature" | "computed";
  /** Rows of the heads in the class; empty if the atlas has none. */
  readonly rows: ReadonlyArray<number>;
  /** Heads of models that are not in this atlas. */
  readonly elsewhere: ReadonlyArray<string>;
}

/** Checks of a clustering; indices are adjusted Rand indices, None where not available. */
export interface ClusterValidity {
  /** Share of the clustered heads in the largest cluster. */
  readonly largest_share: number;
  /** Agreement of two disjoint halves of the prompts. */
  readonly disjoint_halves: number | null;
  /** The same with halves without a common source. */
  readonly disjoint_sources: number | null;
  /** Agreement with other seeds. */
  readonly seeds: number | null;
  /** Clusters with a Jaccard index of 0.75 or more. */
  readonly stable_clusters: number | null;
  /** Of four draws of one Gaussian, those that are cut into clusters of which none dominates. */
  readonly reference_draws: number | null;
  /** Stability of the same clustering of one Gaussian, which has no clusters. */
  readonly reference: number | null;
  /** The largest of the draws of the Gaussian. */
  readonly reference_largest: number | null;
  /** Agreement of disjoint halves of the Gaussian. */
  readonly reference_halves: number | null;
  /** Share of the clusters of the Gaussian with a Jaccard index of 0.75 or more. */
  readonly reference_stable_share: number | null;
  /** Why the indices say nothing, if one cluster dominates. */
  readonly warning: string | null;
}

/** A stored clustering of the heads, with its tree. */
export interface Clustering {
  readonly method: string;
  readonly metric: string;
  readonly parameters: Readonly<Record<string, Json>>;
  /** int32 file, per head; -1 is unclustered. */
  readonly labels: string;
  /** float32 file (H - 1, 4), rows as scipy's: left, right, height, size; None without a tree. */
  readonly linkage: string | null;
  /** Given names by cluster number, which is a text. */
  readonly names: Readonly<Record<string, string>>;
  /** Stability of each cluster over resampled prompts. */
  readonly jaccard: ReadonlyArray<number | null>;
  readonly adjusted_rand_mean: number | null;
  readonly adjusted_rand_spread: number | null;
  /** None for clusterings of older versions. */
  readonly validity: ClusterValidity | null;
}

/** A feature, and its distribution over the patterns of the atlas. */
export interface Feature {
  readonly name: string;
  readonly set: string;
  readonly context: string;
  readonly statistic: string;
  /** LaTeX. */
  readonly formula: string;
  readonly low: number | null;
  /** Range for causal patterns; None is unbounded. */
  readonly high: number | null;
  /** Description of a pattern with a large value. */
  readonly large: string;
  readonly source: string;
  readonly cost: string;
  /** Whether it varies over the patterns; constant features are not in the embedding. */
  readonly kept: boolean;
  readonly mean: number;
  /** Standard deviation over all patterns (ddof 0). */
  readonly deviation: number;
  /** Number of patterns on which it is not finite. */
  readonly n_missing: number;
  /** Counts of equal bins from `histogram_low` to `histogram_high`; end bins count outliers. */
  readonly histogram: ReadonlyArray<number>;
  readonly histogram_low: number;
  readonly histogram_high: number;
  /**
   * Squared loading times the variance share of each component; empty for features that are not
   * in the embedding.
   */
  readonly importance: ReadonlyArray<number>;
  readonly examples: ReadonlyArray<FeatureExample>;
}

/** A viewable pattern with a low, middle or high value of a feature. */
export interface FeatureExample {
  readonly level: "low" | "middle" | "high";
  readonly row: number;
  readonly prompt: number;
  readonly value: number;
}

/** The features of all sets of the atlas, in the order of the arrays below. */
export interface Features {
  readonly features: ReadonlyArray<Feature>;
  /** float16 file (F, F), correlation of the features over all patterns. */
  readonly correlation: string;
  /** float32 file (H, F): mean over the prompts. */
  readonly head_means: string;
  /**
   * float32 (heads of the file, 3, F): mean over the prompts; its z-score (ddof 0) and its
   * percentile among the heads. z-score and percentile are NaN if the heads do not differ.
   */
  readonly of_heads: HeadFiles;
  /** float32 (heads of the file, F), a file `<k>-<index>.bin` per viewable prompt. */
  readonly of_patterns: HeadFiles;
}

/** The evaluation of all metrics. */
export interface Evaluation {
  readonly metrics: ReadonlyArray<string>;
  readonly reference: string;
  /** Sentences: what does not work, which metric to use, and by how much it is better. */
  readonly answer: ReadonlyArray<string>;
  readonly headline: ReadonlyArray<EvaluationLine>;
  readonly tags: ReadonlyArray<EvaluationTag>;
  readonly missing: ReadonlyArray<string>;
  /** The statistic of a row is `too few heads` if there are too few; then it has no numbers. */
  readonly rows: ReadonlyArray<EvaluationRow>;
}

/** A behaviour score: columns `name` and `name spread` of the heads table. */
export interface Score {
  readonly name: string;
  readonly meaning: string;
  /** Least score of heads in the computed class; None if there is no class. */
  readonly threshold: number | null;
  /** Counts of equal bins from 0 to `high`; end bins count the scores outside. */
  readonly histogram: ReadonlyArray<number>;
  /** The largest score; 1 if no head has one. */
  readonly high: number;
}

/** A file for other programs. */
export interface Download {
  readonly file: string;
  readonly title: string;
  readonly bytes: number;
}

/** `manifest.json`: fetched first; it names all other files. */
export interface Manifest {
  readonly schema: number;
  /**
   * Digest of all data files. Requests end in `?v=<version>`, so that no cache mixes two
   * exports.
   */
  readonly version: string;
  /** Digest of the inputs of the export, which is skipped while they stay the same. */
  readonly inputs: string;
  readonly package_version: string;
  readonly title: string;
  readonly models: ReadonlyArray<Model>;
  readonly n_heads: number;
  readonly n_patterns: number;
  /** Settings of the atlas, by titles for readers. */
  readonly settings: Readonly<Record<string, Json>>;
  /**
   * Columns: model (codes), layer, index, depth, class_group (code of the head's first class
   * group, labels), one float16 column per score and its spread, one code column per clustering
   * called `cluster <method>`.
   */
  readonly heads: Table;
  readonly scores: ReadonlyArray<Score>;
  /** Columns: row, score (codes, labels), value: the scores that reach their threshold. */
  readonly measured: Table;
  /**
   * float32 (heads of the file, 3, number of scores): score; its spread; its percentile among the
   * heads. NaN where missing.
   */
  readonly scores_of_heads: HeadFiles;
  /** Columns: verdict (codes, labels), probability (NaN if no other model has labelled heads). */
  readonly verdicts: Table | null;
  readonly motifs: ReadonlyArray<Motif>;
  /** One float16 column per motif: mean share over the prompts, per head. */
  readonly motif_shares: Table | null;
  /** Metric of the explanations; None without them. */
  readonly explained_by: string | null;
  readonly metrics: ReadonlyArray<DistanceMetric>;
  readonly projections: ReadonlyArray<Projection>;
  readonly points: Points;
  /** None if no prompt is kept for viewing. */
  readonly pictures: Pictures | null;
  readonly clusterings: ReadonlyArray<Clustering>;
  /** JSON file: list of `Prompt`. */
  readonly prompts: string;
  /** JSON file: list of `HeadClass`. */
  readonly classes: string;
  /** JSON file: list of `ClassTag`. */
  readonly tags: string;
  /** Class group to its colour, #RRGGBB. */
  readonly groups: Readonly<Record<string, string>>;
  /** JSON file: `Features`. */
  readonly features: string;
  /** JSON file: `Evaluation`. */
  readonly evaluation: string | null;
  /** JSON file: `Ablations`. */
  readonly ablations: string | null;
  readonly downloads: ReadonlyArray<Download>;
  /**
   * Parts that the atlas does not hold (`projections`, `clusterings`, `scores`, `evaluation`,
   * `ablations`, `patterns`...), with the command that makes each, in words.
   */
  readonly missing: Readonly<Record<string, string>>;
}

/** `ablations.parquet`, column by column: all lists are of equal length. */
export interface Ablations {
  /** Only `heads` has lists. The documentation of ablations describes the columns. */
  readonly columns: Readonly<Record<string, ReadonlyArray<Json | ReadonlyArray<string>>>>;
}
