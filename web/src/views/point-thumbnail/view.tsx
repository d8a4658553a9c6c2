import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { PointThumbnailProps } from "./api";
import { dots, thumbnailPixels } from "./draw";

/** A small still picture of points. */
export function PointThumbnail({ x, y, z, colours, size, label }: PointThumbnailProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const placed = useMemo(() => dots(x, y, z), [x, y, z]);
  useLayoutEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const ratio = Math.min(3, window.devicePixelRatio || 1);
    const side = Math.round(size * ratio);
    element.width = side;
    element.height = side;
    const dot = Math.max(1, Math.round(ratio * (placed.points.length > 2000 ? 1 : 2)));
    context.putImageData(new ImageData(thumbnailPixels(placed, colours, side, dot), side, side), 0, 0);
  }, [placed, colours, size]);
  return <canvas ref={canvas} role="img" aria-label={label} style={{ width: `${size}px`, height: `${size}px` }} />;
}
