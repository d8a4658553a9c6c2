import { list, text } from "../../state/codecs";
import { param } from "../../state/url";

/** Method of ablation: what replaced the output; empty is the first in the table. */
export const method = param("method", text, "");
/** Measure and design, as `loss, repeated`; empty is the first in the table. */
export const measure = param("measure", text, "");
/** Grouping of the heads: `class`, `model`, `layer`, `tested`, or the name of a clustering. */
export const group = param("group", text, "class");
/** Scale of effects: `root` (square roots, of either sign) or `linear`. */
export const scale = param("scale", text, "root");
/** Kinds of rows in the table; empty is all but controls. */
export const kinds = param("kinds", list(text), []);
