// Parameters of the pages of points.

import { choice, flag, list, number, text, type Codec } from "../../state/codecs";
import { change, param, type Setting } from "../../state/url";
import { colour, head, layers, models } from "../../state/params";

/** Columns of the axes; empty is the default; `none` as the third gives two axes. */
export const x = param("x", text, "");
export const y = param("y", text, "");
export const z = param("z", text, "");
/** Id of a stored projection, used instead of axes. */
export const projection = param("projection", text, "");
export const dimensions = param("dim", choice("3", "2"), "3");
/** Position of the camera. */
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
/** Whether only viewable patterns are shown. */
export const kept = param("kept", flag, false);
/** Selected points, as `writePicked` writes them. */
export const picked = param("picked", text, "");

/** Colour by another column, and clear the filters of the legend. */
export function colourBy(id: string, ...more: Setting[]): void {
  change([colour.to(id), hidden.to([]), low.to(null), high.to(null), ...more]);
}

/** Return the settings of a link that starts without filters, colours and marked heads. */
export function unfiltered(): Setting[] {
  return [models.to([]), layers.to(null), colour.to(""), head.to("")];
}
