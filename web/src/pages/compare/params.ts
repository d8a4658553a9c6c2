// What a link to the compare page holds besides the shared parameters.

import { choice, integer, list, text } from "../../state/codecs";
import { param } from "../../state/url";

/** Images in a row; without one in the link, as many as can be read on this screen. */
export const perRow = param("per_row", integer(1, 64), window.innerWidth < 640 ? 3 : 6);
/** What images are sorted by. */
export const order = param("order", choice("head", "model", "layer", "index", "prompt"), "head");
/** What frames are coloured by. */
export const frame = param("frame", choice("none", "model", "layer", "index", "prompt"), "none");
/** Filters that captions set: `layer:5`, `prompt:1f3a…`. */
export const only = param("only", list(text), []);
