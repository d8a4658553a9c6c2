/** A small picture of points in two or three dimensions. */
export interface PointThumbnailProps {
  x: Float32Array;
  y: Float32Array;
  /** Null in two dimensions. */
  z: Float32Array | null;
  /** Red, green, blue of every point. */
  colours: Uint8Array;
  /** Width and height in CSS pixels. */
  size: number;
  label: string;
}
