// The table of docs/method.md without formulas; a test compares the first columns.

/** Subject, the paper, this software, reason. */
export const DIFFERENCES: readonly (readonly [string, string, string, string])[] = [
  [
    "number of features",
    "92, after a filter of its own",
    "94; those that are constant are dropped when fitting",
    "the filter is not described",
  ],
  [
    "skew Gram matrix",
    "its text: S(A)S(A)ᵀ; its public code: S(A)ᵀS(A)",
    "the text's",
    "the text explains why it detects bands; the code computes another feature",
  ],
  [
    "logarithm",
    "ln(A + 10⁻⁹) in the public code",
    "ln A, with A between 10⁻⁹ and 1 − 10⁻⁶",
    "at A = 1 the code's value is 0 in float32 and 10⁻⁹ in float64, which flips cosines",
  ],
  [
    "entries outside [0, 1]",
    "not stated",
    "moved to the bound before the histogram",
    "rounding puts cosines above 1; dropping them is a silent error",
  ],
  [
    "models, prompts",
    "six models, 128 texts of pile-10k",
    "any; by default two packaged models and 256 built-in texts",
    "runs where no model hub can be reached",
  ],
  [
    "BOS",
    "put before every prompt",
    "as the model was trained; a setting overrides it",
    "a model with BOS and without behaves almost like two models",
  ],
];
