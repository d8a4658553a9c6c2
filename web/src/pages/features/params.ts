import { choice, text } from "../../state/codecs";
import { param } from "../../state/url";

export { feature, filter } from "../../state/params";

/** The second feature of a cell of the matrix. */
export const other = param("other", text, "");
/** Feature set; empty is all. */
export const set = param("set", text, "");
/** Context of the features; empty is all. */
export const context = param("context", text, "");
/** Content of the matrix. */
export const matrix = param("matrix", choice("correlation", "covariance", "importance"), "correlation");
