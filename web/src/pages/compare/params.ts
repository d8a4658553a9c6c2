// Parameters of the page Compare.

import { choice, integer, list, text } from "../../state/codecs";
import { param } from "../../state/url";

/** Patterns in a row; by default as many as this screen shows well. */
export const perRow = param("per_row", integer(1, 64), window.innerWidth < 640 ? 3 : 6);
/** Order of the patterns. */
export const order = param("order", choice("head", "model", "layer", "index", "prompt"), "head");
/** What the frames are coloured by. */
export const frame = param("frame", choice("none", "model", "layer", "index", "prompt"), "none");
/** Filters that captions set: `layer:5`, `prompt:1f3a…`. */
export const only = param("only", list(text), []);
