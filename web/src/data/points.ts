// Every pattern as a point, in row prompt * H + head. Each column is a file.

import type { Manifest } from "../contract/generated";
import { DataError, floats } from "./source";

/** Return the row of a pattern. */
export function pointOf(manifest: Manifest, head: number, prompt: number): number {
  return prompt * manifest.n_heads + head;
}

/** Return head and prompt of a row. */
export function ofPoint(manifest: Manifest, point: number): { head: number; prompt: number } {
  return { head: point % manifest.n_heads, prompt: Math.floor(point / manifest.n_heads) };
}

/** Load one principal component of all patterns, counted from 0. */
export function loadComponent(manifest: Manifest, component: number): Promise<Float32Array> {
  const file = manifest.points.components[component];
  if (file === undefined) throw new DataError("manifest.json", `names no component ${component}`);
  return floats(file, manifest.points.n_prompts * manifest.n_heads, "float16");
}

/** Load one feature of all patterns. */
export function loadPointFeature(manifest: Manifest, name: string): Promise<Float32Array> {
  const feature = manifest.points.features.find((feature) => feature.name === name);
  if (!feature) throw new DataError("manifest.json", `names no feature ${name}`);
  return floats(feature.file, manifest.points.n_prompts * manifest.n_heads, feature.dtype === "float32" ? "float32" : "float16");
}

/** Load the embeddings of all heads on one prompt: (H, components). */
export function loadPromptPoints(manifest: Manifest, prompt: number): Promise<Float32Array> {
  const file = manifest.points.prompts[prompt];
  if (file === undefined) throw new DataError("manifest.json", `names no points of prompt ${prompt}`);
  return floats(file, manifest.n_heads * manifest.points.n_components);
}

/** Return the Euclidean distances of one row of a matrix to all rows. */
export function euclidean(matrix: Float32Array, width: number, row: number): Float32Array {
  const n = width === 0 ? 0 : matrix.length / width;
  const distances = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    let sum = 0;
    for (let j = 0; j < width; j++) {
      const difference =
        (matrix[i * width + j] as number) - (matrix[row * width + j] as number);
      sum += difference * difference;
    }
    distances[i] = Math.sqrt(sum);
  }
  return distances;
}
