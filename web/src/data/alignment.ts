// Tokens of one text in two tokenizations.

/** Tokens of a text. */
export interface Tokenized {
  tokens: readonly string[];
  /** Whether the first token is BOS, which stands for no character. */
  bos: boolean;
}

/**
 * Return, for each token of `from`, the token of `to` that holds its first character; -1 if there is none.
 *
 * @param byPlace the tokens are not a text: the k-th token of one is the k-th of the other
 */
export function align(from: Tokenized, to: Tokenized, byPlace = false): Int32Array {
  const aligned = new Int32Array(from.tokens.length).fill(-1);
  const first = Number(from.bos);
  let place = Number(to.bos);
  if (from.bos && to.bos && to.tokens.length > 0) aligned.fill(0, 0, 1);
  let start = 0;
  let end = (to.tokens[place] ?? "").length;
  for (let token = first; token < from.tokens.length; token++) {
    if (byPlace) place = token - first + Number(to.bos);
    while (!byPlace && place < to.tokens.length && end <= start) {
      place += 1;
      end += (to.tokens[place] ?? "").length;
    }
    if (place < to.tokens.length) aligned[token] = place;
    start += (from.tokens[token] as string).length;
  }
  return aligned;
}
