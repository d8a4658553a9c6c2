// Fetching of data files. No other module fetches. Results are cached.

import { decodeValues, type Values } from "../contract/columns";
import { SITE_SCHEMA, type Dtype, type Manifest } from "../contract/generated";

/** A data file that cannot be fetched or read. The message names the file, the reason and the fix. */
export class DataError extends Error {
  constructor(
    readonly file: string,
    reason: string,
    readonly fix = "export the site again with `motifs site --force`",
  ) {
    super(`data/${file}: ${reason}; ${fix}`);
    this.name = "DataError";
  }
}

const MANIFEST = "manifest.json";

/** Size of the cache of unpacked files. Beyond it, the least recently used ones are dropped. */
const KEPT_BYTES = 512 * 1024 * 1024;

interface Kept {
  promise: Promise<ArrayBuffer>;
  bytes: number;
}

const kept = new Map<string, Kept>();
const parsed = new Map<string, Promise<unknown>>();
let keptBytes = 0;

/** Digest of the export, a part of every request, so that no cache mixes two exports. */
let version = "";

function dataUrl(file: string): URL {
  // Relative to the page: the same folder works from any host and subfolder.
  const base = new URL("data/", document.baseURI);
  const url = new URL(file.split("/").map(encodeURIComponent).join("/"), base);
  if (!url.href.startsWith(base.href)) throw new DataError(file, "is outside of the site");
  if (version !== "") url.searchParams.set("v", version);
  return url;
}

/** Aborts the requests of the page that is open. */
let leaving = new AbortController();

/**
 * Abort the requests that are not answered yet, but for the manifest: the page that sent them is left.
 *
 * Their promises reject with an `AbortError`; whoever still needs the data requests them again.
 */
export function abortRequests(): void {
  leaving.abort();
  leaving = new AbortController();
}

async function download(file: string): Promise<ArrayBuffer> {
  const url = dataUrl(file);
  // The manifest holds the version, so it is always requested again.
  if (file === MANIFEST) return receive(file, url, { cache: "no-cache" });
  return receive(file, url, { signal: leaving.signal });
}

async function receive(file: string, url: URL, options: RequestInit): Promise<ArrayBuffer> {
  let response: Response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new DataError(file, "the server cannot be reached", "start it again, then try again");
  }
  if (!response.ok) {
    if (response.status === 404) throw new DataError(file, "is missing");
    throw new DataError(file, `the server answered with status ${response.status}`, "read the log of the server");
  }
  return unpack(file, await response.arrayBuffer());
}

/** Unpack gzip data, recognised by its first two bytes: some hosts unpack it themselves. */
export async function unpack(file: string, buffer: ArrayBuffer): Promise<ArrayBuffer> {
  const head = new Uint8Array(buffer, 0, Math.min(2, buffer.byteLength));
  if (head[0] !== 0x1f || head[1] !== 0x8b) return buffer;
  try {
    const stream = new Blob([buffer]).stream().pipeThrough(new DecompressionStream("gzip"));
    return await new Response(stream).arrayBuffer();
  } catch {
    throw new DataError(file, "is truncated or damaged");
  }
}

/** Return the unpacked bytes of a file. */
export function bytes(file: string): Promise<ArrayBuffer> {
  const known = kept.get(file);
  if (known) {
    kept.delete(file);
    kept.set(file, known);
    return known.promise;
  }
  const entry: Kept = { promise: download(file), bytes: 0 };
  kept.set(file, entry);
  entry.promise.then(
    (buffer) => {
      entry.bytes = buffer.byteLength;
      keptBytes += entry.bytes;
      forgetOldest(entry);
    },
    () => kept.delete(file), // so that the next request tries again
  );
  return entry.promise;
}

function forgetOldest(newest: Kept): void {
  for (const [file, entry] of kept) {
    if (keptBytes <= KEPT_BYTES) return;
    if (entry === newest || entry.bytes === 0) continue;
    kept.delete(file);
    keptBytes -= entry.bytes;
  }
}

/** Return a file as numbers of one type; `length`, if given, is checked. */
export async function values(file: string, dtype: Dtype, length?: number): Promise<Values> {
  const buffer = await bytes(file);
  try {
    const all = decodeValues(buffer, dtype);
    if (length !== undefined && all.length !== length) {
      throw new RangeError(`holds ${all.length} values, not ${length}`);
    }
    return all;
  } catch (error) {
    throw new DataError(file, error instanceof Error ? error.message : "cannot be decoded");
  }
}

/** Return a file of float32 or float16 numbers. */
export async function floats(
  file: string,
  length?: number,
  dtype: "float32" | "float16" = "float32",
): Promise<Float32Array> {
  return (await values(file, dtype, length)) as Float32Array;
}

/** Return a parsed JSON file; it is cached. */
export function json<T>(file: string): Promise<T> {
  return once(`json ${file}`, async () => {
    const text = new TextDecoder().decode(await bytes(file));
    try {
      return parseJson(text) as T;
    } catch {
      throw new DataError(file, "is not JSON");
    }
  });
}

/** Parse JSON. Half of a surrogate pair, which no link can hold, becomes the replacement character. */
export function parseJson(text: string): unknown {
  if (!/\\ud[89a-f]/i.test(text)) return JSON.parse(text);
  const whole = (value: unknown) =>
    typeof value === "string" ? value.replace(/\p{Surrogate}/gu, "\ufffd") : value;
  return JSON.parse(text, (_, value: unknown) => whole(value));
}

/** Run a function once per key. The result is cached; a failure is not. */
export function once<T>(key: string, work: () => Promise<T>): Promise<T> {
  const known = parsed.get(key);
  if (known) return known as Promise<T>;
  const promise = work();
  parsed.set(key, promise);
  promise.catch(() => parsed.delete(key));
  return promise;
}

/** Return the manifest, which names all other files. */
export function loadManifest(): Promise<Manifest> {
  return once("manifest", async () => {
    const manifest = await json<Manifest>(MANIFEST);
    if (manifest.schema !== SITE_SCHEMA) {
      throw new DataError(
        MANIFEST,
        `has schema ${String(manifest.schema)}, but these pages read schema ${SITE_SCHEMA}`,
      );
    }
    version = manifest.version;
    return manifest;
  });
}

/** Return the address of a file for a download link. */
export function fileUrl(file: string): string {
  return dataUrl(file).href;
}

/** Name of what the server adds to the site: `live` under `motifs serve --live`, else empty. */
export function extension(): string {
  return document.querySelector('meta[name="extension"]')?.getAttribute("content") ?? "";
}

/**
 * Ask the server that the page is from; with a value, send it as JSON. Return the bytes of the answer.
 *
 * @param path relative to the page
 */
export async function ask(path: string, value?: unknown, signal?: AbortSignal): Promise<ArrayBuffer> {
  const url = new URL(path, document.baseURI);
  const sent = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(value) };
  let response: Response;
  try {
    response = await fetch(url, { ...(value === undefined ? {} : sent), cache: "no-store", ...(signal ? { signal } : {}) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error("The server cannot be reached. Start `motifs serve --live` again, then try again.");
  }
  if (response.ok) return response.arrayBuffer();
  throw new Error(refusal(await response.text(), response.status));
}

/** Return the reason in a JSON answer `{"error": "..."}`, or else the status. */
function refusal(text: string, status: number): string {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    if (typeof error === "string") return error;
  } catch {
    // An answer of the server's guard is plain text.
  }
  return `The server answered with status ${status}: ${text.trim().slice(0, 200)}`;
}
