// A row of small patterns on one canvas, and the cursor over it.

import type { Pattern } from "../../data/patterns";
import type { PatternStyle } from "../pattern-canvas/api";
import { frame } from "../pattern-canvas/frame";
import { patternPixels, stripPixels, type Pixels } from "../pattern-canvas/image";
import type { Cell } from "../pattern-matrix/api";
import { columnAt } from "../pattern-matrix/keys";

/** CSS pixels between patterns. */
export const GAP = 4;

/** Set the size of a canvas in CSS pixels, and return its context with these as units. */
function scaled(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D | null {
  const zoom = window.devicePixelRatio;
  canvas.width = Math.max(1, Math.round(width * zoom));
  canvas.height = Math.max(1, Math.round(height * zoom));
  const context = canvas.getContext("2d");
  context?.scale(zoom, zoom);
  return context;
}

/** Draw the patterns of a row. */
export function drawRow(canvas: HTMLCanvasElement, patterns: readonly Pattern[], size: number, style: PatternStyle): void {
  const context = scaled(canvas, patterns.length * (size + GAP) - GAP, size);
  const sheet = document.createElement("canvas");
  const pen = sheet.getContext("2d");
  if (!context || !pen) return;
  const { strip, left, side } = frame(size, style.sink);
  const most = Math.max(1, Math.round(side * window.devicePixelRatio));
  const paste = (pixels: Pixels, x: number, width: number) => {
    if (pixels.width === 0) return;
    sheet.width = pixels.width;
    sheet.height = pixels.height;
    pen.putImageData(new ImageData(pixels.data, pixels.width, pixels.height), 0, 0);
    context.imageSmoothingEnabled = most < 3 * pixels.height;
    context.drawImage(sheet, x, 0, width, side);
  };
  patterns.forEach((pattern, head) => {
    const x = head * (size + GAP);
    paste(patternPixels(pattern, style, most), x + left, side);
    if (strip > 0) paste(stripPixels(pattern, style, most), x, strip);
  });
}

/** Mark a cell in every pattern of a row: its row up to the diagonal, and its column from there. */
export function drawCursor(canvas: HTMLCanvasElement, nHeads: number, size: number, style: PatternStyle, cell: Cell | null, n: number): void {
  const context = scaled(canvas, nHeads * (size + GAP) - GAP, size);
  if (!context || !cell) return;
  const place = frame(size, style.sink);
  const step = place.side / n;
  const column = columnAt(cell.key, place, n);
  const [height, width] = [Math.max(1, step), Math.max(1, column.width)];
  const [top, y] = [cell.key * step, cell.query * step];
  for (let head = 0; head < nHeads; head++) {
    const x = head * (size + GAP);
    context.fillStyle = "rgb(255 255 255 / 40%)";
    context.fillRect(x, y, place.left + (cell.query + 1) * step, height);
    context.fillRect(x + column.x, top, width, place.side - top);
    context.strokeStyle = "#ff6a00";
    context.lineWidth = 1;
    const [w, h] = [Math.max(3, width), Math.max(3, height)];
    context.strokeRect(x + column.x - (w - width) / 2, y - (h - height) / 2, w, h);
  }
}
