// Parameters of the pages of points.

import { choice, flag, list, number, text, type Codec } from "../../state/codecs";
import { change, param, type Setting } from "../../state/url";
import { colour } from "../../state/params";

/** Columns of the axes; empty is the page's own choice, `none` as third leaves it out. */
export const x = param("x", text, "");
export const y = param("y", text, "");
export const z = param("z", text, "");
/** A stored projection, as `projectionId` names it, instead of the axes. */
export const projection = param("projection", text, "");
export const dimensions = param("dim", choice("3", "2"), "3");
/** Where the eye is. */
export const view = param("view", text, "");
/** Labels that the legend hides. */
export const hidden = param("hide", list(text), []);

const open: Codec<number | null> = {
  read: (value) => (value === "" ? null : number(-1e30, 1e30).read(value)),
  write: (value) => (value === null ? "" : String(Number(value.toPrecision(6)))),
};

/** Least and largest amount that the legend shows. */
export const low = param("low", open, null);
export const high = param("high", open, null);
export const size = param("size", number(1, 24), 5);
export const opacity = param("opacity", number(0.02, 1), 1);
/** Of the points outside of the selection. */
export const restSize = param("rest-size", number(1, 24), 3);
export const restOpacity = param("rest", number(0, 1), 0.25);
/** Only patterns that can be seen. */
export const kept = param("kept", flag, false);
/** Selected points, as `writePicked` writes them. */
export const picked = param("picked", text, "");

/** Colour by another column; what the legend hid belonged to the last one. */
export function colourBy(id: string, ...more: Setting[]): void {
  change([colour.to(id), hidden.to([]), low.to(null), high.to(null), ...more]);
}
