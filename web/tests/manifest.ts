// A made-up atlas for tests: two models of different shapes.

import type { Manifest, Model } from "../src/contract/generated";

const numbers = (n: number) => Array.from({ length: n }, (_, i) => i);

function model(
  name: string,
  first_row: number,
  n_layers: number,
  n_heads: number,
  layers: number[] = numbers(n_layers),
): Model {
  return {
    name,
    architecture: "made-up",
    n_layers,
    n_heads,
    layers,
    n_parameters: 1,
    first_row,
    bos: false,
    dtype: "float32",
    licence: "",
    source: "",
    revision: null,
    weights_sha256: "",
    added: false,
    family: "",
    tokens: "",
    explanations: [],
    patterns: { folder: "patterns/0", n_heads: 1, n_prompts: 1, prompts: [] },
  };
}

export const manifest = {
  models: [model("small", 0, 2, 3), model("org/other-1.5", 6, 3, 1)],
  n_heads: 9,
  pictures: null,
  metrics: [],
  scores: [],
  verdicts: null,
  motifs: [],
  motif_shares: null,
  explained_by: null,
} as unknown as Manifest;

/** A hybrid of five layers, of which 1 and 4 have heads. */
export const hybrid = { ...manifest, models: [model("mixed", 0, 5, 2, [1, 4])], n_heads: 4 } as Manifest;
