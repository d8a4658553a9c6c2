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
/** `auto`: three for a projection to three dimensions, else two. */
export const dimensions = param("dim", choice("auto", "3", "2"), "auto");
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
const optional = (codec: Codec<number>): Codec<number | null> => ({
  read: (value) => (value === "" ? null : codec.read(value)),
  write: (value) => (value === null ? "" : codec.write(value)),
});

/** Size and opacity of a point; null depends on the number of points. */
export const size = param("size", optional(number(1, 24)), null);
export const opacity = param("opacity", optional(number(0.02, 1)), null);
/** Whether classes and clusters are named in the picture. */
export const names = param("names", flag, true);
/** Of the points outside of the selection. */
export const restSize = param("rest-size", number(1, 24), 3);
export const restOpacity = param("rest", number(0, 1), 0.25);
/** Whether only viewable patterns are shown. */
export const kept = param("kept", flag, false);
/** Selected points, as `writePicked` writes them. */
export const picked = param("picked", text, "");

/** Return the usual size and opacity of `n` points: the more there are, the smaller and fainter, so that dense parts show. */
export function usualStyle(n: number): { size: number; opacity: number } {
  const many = Math.log10(Math.max(10, n) / 1000);
  return { size: Math.max(2, 5 - 1.5 * many), opacity: Math.min(1, Math.max(0.15, Number((0.9 - 0.35 * many).toFixed(2)))) };
}

/** Colour by another column, and clear the filters of the legend. */
export function colourBy(id: string, ...more: Setting[]): void {
  change([colour.to(id), hidden.to([]), low.to(null), high.to(null), ...more]);
}

/** Return the settings of a link that starts without filters, colours and marked heads. */
export function unfiltered(): Setting[] {
  return [models.to([]), layers.to(null), colour.to(""), head.to("")];
}
