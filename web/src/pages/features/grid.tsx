import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { rgb } from "../../views/pattern-canvas/colour-map";
import { useWidth } from "../../views/chart/width";
import { sharedLines } from "./words";

/** A matrix of numbers as coloured cells, for pointer and arrow keys. */
export interface GridProps {
  rows: number;
  columns: number;
  /** Colour of a cell as CSS text; null is missing. Changes with `key`. */
  colour: (row: number, column: number) => string | null;
  /** The cells are redrawn when one of these changes. */
  keys: readonly unknown[];
  describe: (row: number, column: number) => string;
  onOpen: (row: number, column: number) => void;
  /** A row that is marked. */
  marked: number;
  label: string;
  /** Runs of rows and their names, from the top; shown right of the cells where there is room. */
  groups: readonly { title: string; count: number }[];
  /** Largest width in CSS pixels. */
  most: number;
  /** Height of a cell in CSS pixels; square if left out. */
  cell?: number;
}

/** Width of the names of groups, and least width of the cells to show them, in pixels. */
const NAMES = 150;
const CELLS = 400;
/** Height of a name, in pixels. */
const LINE = 13;

/** The cells. */
export function Grid(props: GridProps) {
  const { rows, columns, colour, keys, describe, onOpen, marked, label, most, cell, groups } = props;
  const { ref, width: room } = useWidth();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [at, setAt] = useState<{ row: number; column: number } | null>(null);
  const named = room >= NAMES + CELLS;
  const width = Math.min(most, named ? room - NAMES : room);
  const height = cell === undefined ? (width * rows) / Math.max(1, columns) : cell * rows;
  useLayoutEffect(() => draw(canvas.current, rows, columns, colour), [rows, columns, ...keys]);
  const find = (event: MouseEvent) => {
    const box = canvas.current?.getBoundingClientRect();
    if (!box) return null;
    const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
    return row >= 0 && row < rows && column >= 0 && column < columns ? { row, column } : null;
  };
  const walk = (event: KeyboardEvent) => {
    const now = at ?? { row: Math.max(0, marked), column: 0 };
    if (event.key === "Enter") return onOpen(now.row, now.column);
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[
      event.key
    ] ?? [0, 0];
    if (down === 0 && right === 0) return;
    event.preventDefault();
    const bound = (value: number, n: number) => Math.min(n - 1, Math.max(0, value));
    setAt({ row: bound(now.row + (down as number), rows), column: bound(now.column + (right as number), columns) });
  };
  return (
    <div class="grid-canvas" ref={ref}>
      <p class="grid-canvas-status" role="status" data-export="no">
        {at ? describe(at.row, at.column) : "Point at a cell, or use the arrow keys."}
      </p>
      <div class="grid-canvas-body">
        <div
          class="grid-canvas-field"
          style={{ width, height }}
          tabIndex={0}
          role="application"
          aria-label={label}
          onPointerMove={(event) => setAt(find(event))}
          onPointerLeave={() => setAt(null)}
          onBlur={() => setAt(null)}
          onClick={(event) => {
            const cell = find(event);
            if (cell) onOpen(cell.row, cell.column);
          }}
          onKeyDown={walk}
        >
          <canvas ref={canvas} aria-hidden="true" />
          {marked >= 0 ? (
            <span class="grid-canvas-mark" style={{ top: (height * marked) / rows, height: height / rows }} />
          ) : null}
          {at ? (
            <span
              class="grid-canvas-cell"
              data-export="no"
              style={{
                top: (height * at.row) / rows,
                left: (width * at.column) / columns,
                width: width / columns,
                height: height / rows,
              }}
            />
          ) : null}
        </div>
        {named ? <Groups groups={groups} rows={rows} height={height} /> : null}
      </div>
    </div>
  );
}

/** Names of the groups, each at the first of its rows; groups lower than a line share one. */
function Groups({ groups, rows, height }: Pick<GridProps, "groups" | "rows"> & { height: number }) {
  return (
    <div class="grid-canvas-groups" style={{ width: `${NAMES}px` }}>
      {sharedLines(groups, (LINE * rows) / height).map(({ title, count }, i) => (
        <div key={i} style={{ height: `${(height * count) / rows}px` }} title={title}>
          {title}
        </div>
      ))}
    </div>
  );
}

/** Draw one pixel per cell; the style sheet enlarges them without smoothing. */
function draw(
  canvas: HTMLCanvasElement | null,
  rows: number,
  columns: number,
  colour: GridProps["colour"],
): void {
  const context = canvas?.getContext("2d");
  if (!canvas || !context || rows * columns === 0) return;
  canvas.width = columns;
  canvas.height = rows;
  const image = context.createImageData(columns, rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const css = colour(row, column);
      if (css !== null) image.data.set([...rgb(css), 255], (row * columns + column) * 4);
    }
  }
  context.putImageData(image, 0, 0);
}
