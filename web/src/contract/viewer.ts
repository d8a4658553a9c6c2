// Generated from src/attention_motifs/viewer/contract.py by
//   python -m attention_motifs.site.typescript viewer > web/src/contract/viewer.ts
// Change that file, or the dataclasses that it imports, not this one: a test compares the two.

/** Version of the data. The viewer refuses other versions. */
export const VIEW_SCHEMA = 1 as const;

export type ScaleName = "linear" | "sqrt" | "log";

export type MapName = "viridis" | "cividis" | "magma" | "greys";

export type FirstToken = "shown" | "apart" | "hidden";

export type Theme = "auto" | "light" | "dark";

/** Patterns of one layer. */
export interface ViewLayer {
  /** Number of the layer in the model. */
  readonly layer: number;
  readonly n_heads: number;
  /**
   * Base64 of a zlib stream: the triangles of the heads one after the other, each of `side` rows,
   * as bytes round(255 * sqrt(weight)).
   */
  readonly data: string;
}

/** A pattern with a byte per weight, where the layers hold blocks. */
export interface WholePattern {
  readonly layer: number;
  readonly head: number;
  /** As in `ViewLayer`, one triangle of `n_tokens` rows. */
  readonly data: string;
}

/** A head similar to another one. */
export interface ViewNear {
  readonly head: string;
  readonly distance: number;
}

/** What an atlas says about a head. */
export interface ViewNote {
  readonly layer: number;
  readonly head: number;
  /** Most probable class, or "unknown"; empty if the atlas has no verdicts. */
  readonly verdict: string;
  readonly probability: number | null;
  /** What its patterns do; empty if the atlas does not say. */
  readonly sentence: string;
  readonly near: ReadonlyArray<ViewNear>;
}

/** Everything that a viewer shows. */
export interface View {
  readonly schema: number;
  /** Name of the model; empty if it is not known. */
  readonly model: string;
  /** Text of the prompt, or the tokens joined. */
  readonly prompt: string;
  readonly tokens: ReadonlyArray<string>;
  /** Whether the first token is BOS. */
  readonly bos: boolean;
  readonly n_tokens: number;
  /**
   * Rows of the stored triangles: `n_tokens`, or fewer, whose bytes are then the largest of each
   * block.
   */
  readonly side: number;
  readonly layers: ReadonlyArray<ViewLayer>;
  readonly whole: ReadonlyArray<WholePattern>;
  readonly notes: ReadonlyArray<ViewNote>;
  /** Metric of the similar heads; empty without an atlas. */
  readonly metric: string;
  /** Layer of the head that is shown first. */
  readonly layer: number;
  readonly head: number;
  readonly scale: ScaleName;
  readonly colours: MapName;
  readonly first_token: FirstToken;
  readonly theme: Theme;
}
