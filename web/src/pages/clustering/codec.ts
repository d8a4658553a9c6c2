// A cut of a tree in a link.

import type { Cut } from "../../data/tree";
import type { Codec } from "../../state/codecs";

/** A cut as `n12` or `h3.25`; null is the stored one and written as the empty text. */
export const cutCodec: Codec<Cut | null> = {
  read: (value) => {
    if (value === "") return null;
    const match = /^([nh])(\d{1,9}(?:\.\d{1,9})?(?:e-?\d{1,3})?)$/.exec(value);
    if (!match) return undefined;
    return { by: match[1] === "n" ? "number" : "height", value: Number(match[2]) };
  },
  write: (cut) =>
    cut === null ? "" : cut.by === "number" ? `n${Math.round(cut.value)}` : `h${Number(cut.value.toPrecision(6))}`,
};
