/** Heads as points of a small flat map. */
export interface HeadMapProps {
  /** Coordinates; a point is drawn if both are finite. */
  x: Float32Array;
  y: Float32Array;
  /** Colour of a point, CSS text. */
  colour: (point: number) => string;
  /** Points drawn large and on top; the first is the largest. */
  marked: readonly number[];
  describe: (point: number) => string;
  onPick?: (point: number) => void;
  label: string;
  width: number;
  height: number;
}
