// WebGL canvases are empty once shown: a view registers how to draw one anew for an export.

const drawers = new WeakMap<HTMLCanvasElement, () => void>();

/** Tell how to draw a canvas so that it can be read right afterwards. */
export function drawBeforeExport(canvas: HTMLCanvasElement, draw: () => void): void {
  drawers.set(canvas, draw);
}

/** A canvas as a data address. */
export function canvasData(canvas: HTMLCanvasElement): string {
  drawers.get(canvas)?.();
  return canvas.width * canvas.height === 0 ? "" : canvas.toDataURL("image/png");
}
