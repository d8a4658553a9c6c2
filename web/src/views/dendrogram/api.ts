/** A tree of merges, with the root on top. Branches without room are drawn as wedges. */
export interface DendrogramProps {
  /** Rows of left, right, height and size, as in scipy. */
  linkage: Float32Array;
  /** Height of the cut, drawn as a line. */
  cutHeight: number;
  /** Cluster of every leaf; -1 is none. */
  labels: Int32Array;
  colour: (cluster: number) => string;
  /** Marked leaves. */
  selected: ReadonlySet<number>;
  /** Name of a leaf. */
  leafName: (leaf: number) => string;
  /** A leaf or a node was chosen. */
  onPick: (node: number) => void;
  width: number;
  height: number;
  label: string;
}
