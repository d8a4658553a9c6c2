// The data inside a viewer's document: patterns packed in its text. Nothing is fetched.

import { VIEW_SCHEMA, type View, type ViewLayer, type ViewNote } from "../contract/viewer";
import { triangleSize, type Pattern } from "./patterns";
import { parseJson } from "./source";

/** Parse the data of a document. */
export function readView(text: string): View {
  const view = parseJson(text) as View;
  if (view.schema !== VIEW_SCHEMA) {
    throw new Error(`The data have schema ${String(view.schema)}, and this viewer reads ${VIEW_SCHEMA}. Make the page again.`);
  }
  return view;
}

/** Return the bytes of a zlib stream that is written as base64. */
export async function inflate(base64: string): Promise<Uint8Array> {
  const packed = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const unpacked = new WeakMap<ViewLayer, Promise<Pattern[]>>();

/** Return the stored patterns of a layer, in the order of its heads; `n` is the side of the view. */
export function layerPatterns(view: View, layer: ViewLayer): Promise<Pattern[]> {
  const known = unpacked.get(layer);
  if (known) return known;
  const promise = unpackLayer(view, layer);
  unpacked.set(layer, promise);
  return promise;
}

async function unpackLayer({ side }: View, layer: ViewLayer): Promise<Pattern[]> {
  const bytes = await inflate(layer.data);
  const size = triangleSize(side);
  if (bytes.length !== size * layer.n_heads) {
    throw new Error(`Layer ${layer.layer} holds ${bytes.length} bytes, not ${size * layer.n_heads}.`);
  }
  return Array.from({ length: layer.n_heads }, (_, head) => ({
    head,
    prompt: 0,
    n: side,
    triangle: bytes.subarray(head * size, (head + 1) * size),
  }));
}

/**
 * Return a pattern with a byte per weight, and the tokens per side of the blocks that share a byte: 1 if
 * the pattern is stored whole.
 */
export async function headPattern(view: View, layer: number, head: number): Promise<{ pattern: Pattern; block: number }> {
  const n = view.n_tokens;
  const whole = view.whole.find((item) => item.layer === layer && item.head === head);
  if (whole) return { pattern: { head, prompt: 0, n, triangle: await inflate(whole.data) }, block: 1 };
  const stored = view.layers.find((item) => item.layer === layer);
  const pattern = stored && (await layerPatterns(view, stored))[head];
  if (!pattern) throw new Error(`There is no pattern of layer ${layer}, head ${head}.`);
  return view.side === n ? { pattern, block: 1 } : { pattern: spread(pattern, n), block: Math.ceil(n / view.side) };
}

/** Return a pattern of `n` tokens in which every weight is that of its block. */
export function spread(pattern: Pattern, n: number): Pattern {
  const block = Uint32Array.from({ length: n }, (_, token) => Math.floor((token * pattern.n) / n));
  const triangle = new Uint8Array(triangleSize(n));
  let at = 0;
  for (let query = 0; query < n; query++) {
    const row = triangleSize(block[query] as number);
    for (let key = 0; key <= query; key++, at++) {
      triangle[at] = pattern.triangle[row + (block[key] as number)] as number;
    }
  }
  return { ...pattern, n, triangle };
}

/** Return what the atlas says about a head; null if it says nothing. */
export function noteOf(view: View, layer: number, head: number): ViewNote | null {
  return view.notes.find((note) => note.layer === layer && note.head === head) ?? null;
}

/** Return the name of a head: `model:L5:H3`, or `L5:H3` if the model has no name. */
export function viewHeadName(view: Pick<View, "model">, layer: number, head: number): string {
  const short = `L${layer}:H${head}`;
  return view.model === "" ? short : `${view.model}:${short}`;
}
