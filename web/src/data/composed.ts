// Sentences in which names, tokens and texts of the atlas stand among other words.

const DIRECTED = /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const ISOLATES = /[\u2066-\u2069]/gu;
const [START, END] = ["\u2068", "\u2069"];

/** Return a text that does not change the direction of the words around it. */
export function isolated(text: string): string {
  return DIRECTED.test(text) ? `${START}${text.replace(ISOLATES, "")}${END}` : text;
}

/** Template of a sentence: every value is isolated. Where there is markup, `bdi` does the same. */
export function composed(words: TemplateStringsArray, ...values: readonly unknown[]): string {
  return words.reduce((sentence, word, i) => sentence + isolated(String(values[i - 1])) + word);
}
