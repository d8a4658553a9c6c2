import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { PointThumbnailProps } from "./api";
import { dots, thumbnailPixels } from "./draw";

/** Side of a picture, in pixels, from which a dot is a pixel wider. */
const LARGE = 200;

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
    const dot = Math.max(1, Math.round(ratio * (Math.max(1, size / LARGE) + (placed.points.length > 2000 ? 0 : 1))));
    context.putImageData(new ImageData(thumbnailPixels(placed, colours, side, dot), side, side), 0, 0);
  }, [placed, colours, size]);
  return <canvas ref={canvas} role="img" aria-label={label} style={{ width: `${size}px`, height: `${size}px` }} />;
}
