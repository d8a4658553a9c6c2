// A WebGL canvas is empty after it is shown, so a view registers a function that draws it for a picture.

const drawers = new WeakMap<HTMLCanvasElement, () => void>();

/** Register a function that draws a canvas, so that it can be read at once. */
export function drawBeforeExport(canvas: HTMLCanvasElement, draw: () => void): void {
  drawers.set(canvas, draw);
}

/** Return the content of a canvas as a data address. */
export function canvasData(canvas: HTMLCanvasElement): string {
  drawers.get(canvas)?.();
  return canvas.width * canvas.height === 0 ? "" : canvas.toDataURL("image/png");
}
