/** The heads of one model as a grid, one row per layer. */
export interface LayerHeadGridProps {
  model: string;
  nLayers: number;
  /** Numbers of the layers that have heads (default: all); the rows of the others are empty. */
  layers?: readonly number[];
  nHeads: number;
  /** Colour of a head, CSS text; undefined for none. */
  colour?: (layer: number, index: number) => string | undefined;
  /** Whether a head is marked. */
  selected?: (layer: number, index: number) => boolean;
  /** Text after the name of a head, for hover and screen readers. */
  describe?: (layer: number, index: number) => string;
  /** Called on click, Space or Enter; `shift` says whether Shift was held. */
  onPick?: (layer: number, index: number, shift: boolean) => void;
  /** Called on a click on the label of a layer or column, with all of its heads. */
  onPickMany?: (heads: readonly (readonly [layer: number, index: number])[]) => void;
  onHover?: (at: readonly [layer: number, index: number] | null) => void;
  /** Side of a cell in pixels (default 14). */
  cell?: number;
}
