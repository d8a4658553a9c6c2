/** A tree of merges, root on top; what has no room is drawn as wedges. */
export interface DendrogramProps {
  /** Rows as scipy's: left, right, height, size. */
  linkage: Float32Array;
  /** Height of the cut, drawn as a line. */
  cutHeight: number;
  /** Cluster of each leaf; -1 is none. */
  labels: Int32Array;
  colour: (cluster: number) => string;
  /** Leaves that are marked. */
  selected: ReadonlySet<number>;
  /** Name of a leaf. */
  leafName: (leaf: number) => string;
  /** A leaf, or a node with all leaves below it, was chosen. */
  onPick: (node: number) => void;
  width: number;
  height: number;
  label: string;
}
