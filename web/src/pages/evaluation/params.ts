import { choice, list, text } from "../../state/codecs";
import { param } from "../../state/url";

/** Kinds of rows; empty is all. */
export const kinds = param("kinds", list(text), []);
/** Statistics; empty is all. */
export const statistics = param("statistics", list(text), []);
/** One metric with all its numbers, or all metrics next to each other. */
export const layout = param("layout", choice("one", "beside"), "one");
