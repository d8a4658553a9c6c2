import { gzipSync } from "node:zlib";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { SITE_SCHEMA, type Manifest } from "../src/contract/generated";

type Source = typeof import("../src/data/source");

const files = new Map<string, Uint8Array>();
const asked: string[] = [];
let source: Source;

beforeEach(async () => {
  files.clear();
  asked.length = 0;
  vi.stubGlobal("document", { baseURI: "https://host.example/sub/index.html?page=head" });
  vi.stubGlobal("fetch", async (url: URL) => {
    asked.push(url.href);
    const name = decodeURIComponent(url.pathname.replace("/sub/data/", ""));
    const bytes = files.get(name);
    return bytes ? new Response(new Uint8Array(bytes)) : new Response("", { status: 404 });
  });
  vi.resetModules();
  source = await import("../src/data/source");
});

function put(name: string, content: unknown, packed = false): void {
  const bytes = content instanceof Uint8Array ? content : new TextEncoder().encode(JSON.stringify(content));
  files.set(name, packed ? gzipSync(bytes) : bytes);
}

describe("data files", () => {
  it("are unpacked where they are packed, by their first bytes", async () => {
    const numbers = Float32Array.of(1.5, Number.NaN, -3);
    const bytes = new Uint8Array(numbers.buffer);
    put("packed.bin", bytes, true);
    put("plain.bin", bytes);
    expect(await source.floats("packed.bin", 3)).toEqual(numbers);
    expect(await source.floats("plain.bin")).toEqual(numbers);
    put("empty.bin", new Uint8Array(0));
    expect((await source.bytes("empty.bin")).byteLength).toBe(0);
  });

  it("are asked for once, also while the first answer is on its way", async () => {
    put("a.json.bin", { a: 1 }, true);
    const both = await Promise.all([source.json("a.json.bin"), source.json("a.json.bin")]);
    expect(both[0]).toBe(both[1]);
    expect(asked).toEqual(["https://host.example/sub/data/a.json.bin"]);
  });

  it("name the file and the fix where one is wrong, and are tried again", async () => {
    await expect(source.bytes("gone.bin")).rejects.toThrow(
      "data/gone.bin: is missing; export the site again with `motifs site --force`",
    );
    put("gone.bin", new Uint8Array([1]));
    expect((await source.bytes("gone.bin")).byteLength).toBe(1);
    put("short.bin", new Uint8Array(8));
    await expect(source.floats("short.bin", 3)).rejects.toThrow("data/short.bin: holds 2 values, not 3");
    put("cut.bin", gzipSync(new Uint8Array(1000).map((_, i) => i * 7)).subarray(0, 60));
    await expect(source.bytes("cut.bin")).rejects.toThrow("data/cut.bin: is truncated or damaged");
    put("no.json", new TextEncoder().encode("{"));
    await expect(source.json("no.json")).rejects.toThrow("data/no.json: is not JSON");
  });

  it("have no half of a surrogate pair in their texts", () => {
    expect(source.parseJson('{"a": ["\\ud800 x", "\\ud83d\\ude00", 1]}')).toEqual({ a: ["\ufffd x", "\u{1f600}", 1] });
    expect(source.parseJson('{"a": "\\\\ud800"}')).toEqual({ a: "\\ud800" });
  });

  it("are never outside of the site", async () => {
    for (const file of ["../secret.bin", "a/../../secret.bin", "//other.example/x.bin"]) {
      await source.bytes(file).catch(() => undefined);
    }
    expect(asked.filter((url) => !url.startsWith("https://host.example/sub/data/"))).toEqual([]);
  });

  it("are asked for with the version of the manifest, whose schema is checked", async () => {
    put("manifest.json", { schema: SITE_SCHEMA, version: "abc" } as Manifest);
    await source.loadManifest();
    put("x.bin", new Uint8Array(4));
    await source.bytes("x.bin");
    expect(asked.at(-1)).toBe("https://host.example/sub/data/x.bin?v=abc");
    vi.resetModules();
    source = await import("../src/data/source");
    put("manifest.json", { schema: 99 });
    await expect(source.loadManifest()).rejects.toThrow("has schema 99");
  });

  it("are not fetched to the end once their page is left, and are fetched anew when asked for again", async () => {
    const signals: AbortSignal[] = [];
    vi.stubGlobal("fetch", (_: URL, options: RequestInit) => {
      const signal = options.signal as AbortSignal;
      signals.push(signal);
      return new Promise<Response>((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        if (signals.length > 1) resolve(new Response(new Uint8Array([1])));
      });
    });
    const first = source.bytes("a.bin");
    source.abortRequests();
    await expect(first).rejects.toMatchObject({ name: "AbortError" });
    expect((await source.bytes("a.bin")).byteLength).toBe(1);
    source.abortRequests();
    expect((await source.bytes("a.bin")).byteLength).toBe(1);
    expect(signals).toHaveLength(2);
  });

  it("hold a pattern where the manifest says", async () => {
    // A model of two layers of two heads; the second file of heads, on prompts of 2 and 3 tokens.
    const sizes = [3, 3, 6, 6];
    const bytes = Uint8Array.from(sizes.flatMap((size, which) => Array<number>(size).fill(which + 1)));
    put("p/1-0.bin", bytes, true);
    put("p/1-1.bin", Uint8Array.of(7, 8));
    put("prompts.json", [{ n_tokens: [9] }, { n_tokens: [2] }, { n_tokens: [3] }, { n_tokens: [1] }]);
    const model = {
      name: "m", n_layers: 2, n_heads: 2, layers: [0, 1], first_row: 0, tokens: "t",
      patterns: { folder: "p", n_heads: 2, n_prompts: 2, prompts: [1, 2, 3] },
    };
    const manifest = { models: [model], n_heads: 4, prompts: "prompts.json" } as unknown as Manifest;
    const { loadPattern } = await import("../src/data/patterns");
    expect([...(await loadPattern(manifest, 3, 1)).triangle]).toEqual([2, 2, 2]);
    expect([...(await loadPattern(manifest, 2, 2)).triangle]).toEqual([3, 3, 3, 3, 3, 3]);
    expect([...(await loadPattern(manifest, 3, 3)).triangle]).toEqual([8]);
    await expect(loadPattern(manifest, 0, 0)).rejects.toThrow("names no pattern of m:L0:H0 on prompt 0");
    put("p/0-0.bin", bytes.subarray(1));
    await expect(loadPattern(manifest, 1, 1)).rejects.toThrow("data/p/0-0.bin: holds 17 bytes, not 18");
  });
});
