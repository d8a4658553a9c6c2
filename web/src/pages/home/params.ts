// Parameters of the workbench.

import { integer, type Codec } from "../../state/codecs";
import { param } from "../../state/url";
import type { MapRectangle } from "../../views/head-map/api";

/** Side of a pattern in pixels: four rows fit on a screen of 800 pixels. */
export const side = param("side", integer(48, 256), 88);

const rectangleCodec: Codec<MapRectangle | null> = {
  read: (text) => {
    if (text === "") return null;
    const parts = text.split(",").map(Number);
    if (parts.length !== 4 || !parts.every(Number.isFinite)) return undefined;
    const [left, right, low, high] = parts as [number, number, number, number];
    return { left, right, low, high };
  },
  write: (value) =>
    value === null ? "" : [value.left, value.right, value.low, value.high].map((at) => Number(at.toPrecision(5))).join(),
};
/** The part of the map whose heads are in the rows, in coordinates of the projection. */
export const rectangle = param("in", rectangleCodec, null);
