// How dense the points of a map are. Pure functions.

/** Side of a cell of the grid, in pixels, and how far a point spreads, in cells. */
export const CELL = 4;
const SPREAD = 3;

/** A grid of densities from 0 to 1, row by row. */
export interface Density {
  columns: number;
  rows: number;
  values: Float32Array;
}

/** Return the density of points, x and y in turn, over a picture; 1 is the densest cell, 0 everywhere without points. */
export function density(placed: Float32Array, width: number, height: number): Density {
  const [columns, rows] = [Math.ceil(width / CELL), Math.ceil(height / CELL)];
  let values = new Float32Array(columns * rows);
  for (let i = 0; 2 * i < placed.length; i++) {
    const [x, y] = [Math.floor((placed[2 * i] as number) / CELL), Math.floor((placed[2 * i + 1] as number) / CELL)];
    if (x >= 0 && x < columns && y >= 0 && y < rows) values[y * columns + x] = (values[y * columns + x] as number) + 1;
  }
  // Three means of neighbours are close to a normal distribution.
  for (let turn = 0; turn < 3; turn++) {
    values = smoothed(values, columns, rows, 1, columns);
    values = smoothed(values, rows, columns, columns, 1);
  }
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  return { columns, rows, values: most > 0 ? values.map((value) => value / most) : values };
}

/** Return the means along lines: `step` from cell to cell of a line, `next` from line to line. */
function smoothed(values: Float32Array<ArrayBuffer>, length: number, lines: number, step: number, next: number): Float32Array<ArrayBuffer> {
  const result = new Float32Array(values.length);
  for (let line = 0; line < lines; line++) {
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (let k = Math.max(0, i - SPREAD); k <= Math.min(length - 1, i + SPREAD); k++) sum += values[line * next + k * step] as number;
      result[line * next + i * step] = sum / (2 * SPREAD + 1);
    }
  }
  return result;
}

/** Draw a density behind the points of a canvas, in a colour, `[red, green, blue]`. */
export function drawDensity(context: CanvasRenderingContext2D, { columns, rows, values }: Density, colour: readonly [number, number, number]): void {
  const small = document.createElement("canvas");
  [small.width, small.height] = [columns, rows];
  const on = small.getContext("2d");
  if (!on) return;
  const image = on.createImageData(columns, rows);
  values.forEach((value, i) => image.data.set([...colour, Math.round(64 * Math.sqrt(value))], 4 * i));
  on.putImageData(image, 0, 0);
  context.drawImage(small, 0, 0, columns * CELL, rows * CELL);
}
