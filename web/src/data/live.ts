// The models of a live server: patterns of all heads on a text of the user.

import type { LiveAnswer, LiveKept, LiveReading, LiveState } from "../contract/generated";
import { triangleSize, type Pattern } from "./patterns";
import { ask, extension, parseJson } from "./source";

/** Whether the server has models in memory. */
export function isLive(): boolean {
  return extension() === "live";
}

/** A reading with its patterns. */
export interface LiveText extends LiveReading {
  /** Patterns of each of `layers`, in the order of its heads. */
  patterns: Pattern[][];
}

/** The answer to one text, or two. */
export interface LiveResult extends Omit<LiveAnswer, "readings"> {
  readings: LiveText[];
}

/** Return the models in memory, and the limits of a text. */
export async function loadState(): Promise<LiveState> {
  return parseJson(decoded(await ask("live/state"))) as LiveState;
}

/** Run models on one text or two; no models are all. */
export async function readTexts(
  texts: readonly string[],
  models: readonly string[],
  signal: AbortSignal,
): Promise<LiveResult> {
  return unpackAnswer(await ask("live/read", { texts, models }, signal));
}

/** Keep a text as a prompt for the next build. */
export async function keepText(text: string): Promise<LiveKept> {
  return parseJson(decoded(await ask("live/keep", { text }))) as LiveKept;
}

function decoded(buffer: ArrayBuffer): string {
  return new TextDecoder().decode(buffer);
}

/** Unpack an answer: its length, JSON, and the triangles of every reading. */
export function unpackAnswer(buffer: ArrayBuffer): LiveResult {
  const length = new DataView(buffer).getUint32(0, true);
  const answer = parseJson(decoded(buffer.slice(4, 4 + length))) as LiveAnswer;
  let at = 4 + length;
  const readings = answer.readings.map((reading): LiveText => {
    const n = reading.tokens.length;
    const size = triangleSize(n);
    const patterns = reading.layers.map(() =>
      Array.from({ length: reading.n_heads }, (_, head): Pattern => {
        const triangle = new Uint8Array(buffer, at, size);
        at += size;
        return { head, prompt: reading.text, n, triangle };
      }),
    );
    return { ...reading, patterns };
  });
  if (at !== buffer.byteLength) throw new Error(`The answer holds ${buffer.byteLength} bytes, not ${at}.`);
  return { ...answer, readings };
}
