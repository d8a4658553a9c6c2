import { choice, text } from "../../state/codecs";
import { param } from "../../state/url";

export { feature, filter } from "../../state/params";

/** The feature that the shown one is compared with in the matrix. */
export const other = param("other", text, "");
/** Feature set; empty is all. */
export const set = param("set", text, "");
/** What features are taken from; empty is all. */
export const context = param("context", text, "");
/** What the matrix of all features shows. */
export const matrix = param("matrix", choice("correlation", "covariance", "importance"), "correlation");
