// What a link to the head page holds besides the shared parameters.

import { headList, integer } from "../../state/codecs";
import { param } from "../../state/url";

/** How many rows of each kind. */
export const near = param("near", integer(0, 200), 5);
export const far = param("far", integer(0, 200), 2);
export const same = param("same", integer(0, 200), 3);
export const random = param("random", integer(0, 200), 2);
/** How many prompts, where none are chosen. */
export const nPrompts = param("n_prompts", integer(1, 50), 5);
/** Further heads: "find heads like these". */
export const like = param("like", headList, []);
