// Parameters that mean the same on every page. A page declares further ones in its own folder. Those that
// say what is looked at and how travel with every link; those that filter one page do not.

import { choice, headList, integer, list, range, text } from "./codecs";
import { param } from "./url";

const TRAVELS = { travels: true } as const;

/** Which page is shown. */
export const page = param("page", text, "home");
/** One head, `model:L5:H3`. */
export const head = param("head", text, "", TRAVELS);
/** Several heads. */
export const heads = param("heads", headList, []);
/** Model names; empty is all. */
export const models = param("models", list(text), [], TRAVELS);
/** First and last layer; null is all. */
export const layers = param("layers", range, null, TRAVELS);
/** Names of classes; empty is all. */
export const classes = param("classes", list(text), []);
/** One prompt, by the beginning of its id. */
export const prompt = param("prompt", text, "");
/** Several prompts, by the beginning of their ids; empty is the default of the page. */
export const prompts = param("prompts", list(text), [], TRAVELS);
/** Labels that prompts must have, `genre=law` each; several values of a label allow any of them. */
export const where = param("where", list(text), [], TRAVELS);
/** Number of prompts shown, if none are chosen. */
export const nPrompts = param("n_prompts", integer(1, 50), 5, TRAVELS);
/** Number of probes next to them, if none are chosen. */
export const nProbes = param("n_probes", integer(0, 16), 1, TRAVELS);
/** Name of a distance metric; empty is the first in the atlas, which is its best. */
export const metric = param("metric", text, "", TRAVELS);
/** Seed of every random choice on a page. */
export const seed = param("seed", integer(0, 999_999), 0, TRAVELS);
/** Column that colours points. */
export const colour = param("colour", text, "", TRAVELS);
/** How weights become brightness. */
export const scale = param("scale", choice("linear", "sqrt", "log"), "sqrt", TRAVELS);
/** Colour map of patterns. */
export const map = param("map", choice("viridis", "cividis", "magma", "greys"), "viridis", TRAVELS);
/** The first column of patterns: in its place, as a strip with a scale of its own, or hidden. */
export const sink = param("sink", choice("shown", "apart", "hidden"), "apart", TRAVELS);
/** Light or dark; `auto` follows the system. */
export const theme = param("theme", choice("auto", "light", "dark"), "auto", TRAVELS);
/** Step of the tour that is shown, from 1; 0 is none. */
export const tour = param("tour", integer(0, 9), 0);
/** One feature, by its name. */
export const feature = param("feature", text, "");
/** Side of a pattern in a row or grid, in pixels. */
export const size = param("size", integer(24, 512), 128);
/** Order of a table: the name of a column, with `-` in front for descending order. */
export const sort = param("sort", text, "");
/** Words that the rows of a table must contain. */
export const filter = param("filter", text, "");
