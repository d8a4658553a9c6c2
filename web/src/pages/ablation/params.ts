import { list, text } from "../../state/codecs";
import { param } from "../../state/url";

/** What was put in place of heads' outputs; empty is the first of the table. */
export const method = param("method", text, "");
/** A measure on a design, `loss, repeated`; empty is the first of the table. */
export const measure = param("measure", text, "");
/** What heads are grouped by: `class`, `model`, `layer`, `tested`, or the name of a clustering. */
export const group = param("group", text, "class");
/** How effects are drawn: `root` (square roots, of either sign) or `linear`. */
export const scale = param("scale", text, "root");
/** Kinds of rows in the table; empty is all but controls. */
export const kinds = param("kinds", list(text), []);
