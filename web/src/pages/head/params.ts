// Parameters of the page Head.

import { headList, integer } from "../../state/codecs";
import { param } from "../../state/url";

/** Number of heads of each kind. */
export const near = param("near", integer(0, 200), 5);
export const far = param("far", integer(0, 200), 2);
export const same = param("same", integer(0, 200), 3);
export const random = param("random", integer(0, 200), 2);
/** Further viewed heads: "find heads like these". */
export const like = param("like", headList, []);
