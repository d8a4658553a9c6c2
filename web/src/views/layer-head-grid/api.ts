/** The heads of one model as a grid, a row per layer. */
export interface LayerHeadGridProps {
  model: string;
  nLayers: number;
  nHeads: number;
  /** Colour of a head, CSS text; undefined for none. */
  colour?: (layer: number, index: number) => string | undefined;
  /** Whether a head is marked. */
  selected?: (layer: number, index: number) => boolean;
  /** Words added to a head's name for hover and screen readers. */
  describe?: (layer: number, index: number) => string;
  /** Click, Space or Enter; with Shift for "and those like it". */
  onPick?: (layer: number, index: number, shift: boolean) => void;
  /** Click on the label of a layer (or of a column): all of its heads. */
  onPickMany?: (heads: readonly (readonly [layer: number, index: number])[]) => void;
  onHover?: (at: readonly [layer: number, index: number] | null) => void;
  /** Side of a cell in pixels; 14 if left out. */
  cell?: number;
}
