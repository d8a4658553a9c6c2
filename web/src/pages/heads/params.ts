import { list, number, text } from "../../state/codecs";
import { param } from "../../state/url";

/** Verdicts; empty is all. */
export const verdicts = param("verdicts", list(text), []);
/** Motif whose share is bounded; empty is none. */
export const motif = param("motif", text, "");
/** Least share of this motif, in percent. */
export const least = param("least", number(0, 100), 10);
