// A module of its own, so that the head page loads without the code for 3-D.

import { useMemo } from "preact/hooks";
import type { Placed } from "../../data/projections";
import { rgb } from "../../views/pattern-canvas/colour-map";
import type { PointAxis } from "../../views/points-3d/api";
import { Points3d } from "../../views/points-3d/view";

interface Props {
  placed: Placed;
  /** The viewed head first. */
  marked: readonly number[];
  colour: (point: number) => string;
  describe: (point: number) => string;
  onPick: (point: number) => void;
}

/** A small 3-D view in which the head is named and its nearest heads are selected. */
export function Place3d({ placed, marked, colour, describe, onPick }: Props) {
  const { x, y, z, n } = placed;
  const axes = useMemo<PointAxis[]>(
    () => [x, y, z ?? new Float32Array(n)].map((values, i) => ({ title: "xyz".charAt(i), values, unit: "projection" })),
    [x, y, z, n],
  );
  const colours = useMemo(() => {
    const bytes = new Uint8Array(3 * n);
    for (let point = 0; point < n; point++) bytes.set(rgb(colour(point)), 3 * point);
    return bytes;
  }, [n, colour]);
  const selected = useMemo(() => {
    const mask = new Uint8Array(n);
    for (const point of marked) mask[point] = 1;
    return mask;
  }, [n, marked.join()]);
  const viewed = marked[0] ?? 0;
  return (
    <Points3d
      axes={axes}
      colours={colours}
      selected={selected}
      labels={[{ point: viewed, label: describe(viewed).replace(/^.*:(L\d+:H\d+)$/, "$1") }]}
      style={{ size: 7, opacity: 1, restSize: 4, restOpacity: 0.5 }}
      label={`${describe(viewed)} and its ten nearest heads among all heads`}
      height="250px"
      compact
      preview={describe}
      onOpen={onPick}
    />
  );
}
