import { text } from "../../state/codecs";
import { param } from "../../state/url";

/** Title of the paper whose classes are shown; empty is any. */
export const paper = param("paper", text, "");
