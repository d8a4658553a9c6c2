import { beforeEach, describe, expect, it, vi } from "vitest";
import type { LiveAnswer, LiveReading, Manifest } from "../src/contract/generated";
import type { Labels } from "../src/data/explanations";
import { unpackAnswer, type LiveResult } from "../src/data/live";
import { readingsOf, textRows } from "../src/pages/text/rows";

function reading(values: Partial<LiveReading>): LiveReading {
  return {
    model: "m",
    text: 0,
    tokens: ["a", "b"],
    bos: false,
    is_cut: false,
    layers: [0, 1],
    n_heads: 2,
    sentence: "",
    unusual: [0, 3, -1, 2],
    distance: [1, 2, 0.5, 1.5],
    share: [0.5, 0.1, 1, 0.2],
    ...values,
  };
}

function packed(answer: LiveAnswer, patterns: Uint8Array): ArrayBuffer {
  const header = new TextEncoder().encode(JSON.stringify(answer));
  const bytes = new Uint8Array(4 + header.length + patterns.length);
  new DataView(bytes.buffer).setUint32(0, header.length, true);
  bytes.set(header, 4);
  bytes.set(patterns, 4 + header.length);
  return bytes.buffer;
}

const manifest = { models: [], scores: [] } as unknown as Manifest;
const labels = {} as Labels;

describe("an answer", () => {
  it("is unpacked into the patterns of every reading, of any length", () => {
    const readings = [reading({}), reading({ text: 1, tokens: ["a", "\ud800", "c"] })];
    const bytes = Uint8Array.from({ length: 4 * 3 + 4 * 6 }, (_, i) => i);
    const result = unpackAnswer(packed({ readings, differences: [] }, bytes));
    expect([...(result.readings[0]?.patterns[1]?.[0]?.triangle ?? [])]).toEqual([6, 7, 8]);
    expect([...(result.readings[1]?.patterns[0]?.[1]?.triangle ?? [])]).toEqual([18, 19, 20, 21, 22, 23]);
    expect(result.readings[1]?.patterns[1]?.[1]).toMatchObject({ head: 1, n: 3 });
    expect(result.readings[1]?.tokens[1]).toBe("\ufffd");
  });
  it("of a wrong length is refused", () => {
    const answer = { readings: [reading({})], differences: [] };
    expect(() => unpackAnswer(packed(answer, new Uint8Array(11)))).toThrow();
    expect(() => unpackAnswer(packed(answer, new Uint8Array(13)))).toThrow(/bytes/);
  });
});

describe("the rows of heads", () => {
  const result: LiveResult = { readings: [{ ...reading({}), patterns: [] }], differences: [] };
  it("begin with the most unusual head", () => {
    const rows = textRows(manifest, labels, result);
    expect(rows.map((row) => row.head)).toEqual(["m:L0:H1", "m:L1:H1", "m:L0:H0", "m:L1:H0"]);
    expect(rows[0]).toMatchObject({ layer: 0, index: 1, unusual: 3, share: 0.1, moved: null, known: "" });
  });
  it("begin with the head that differs most on two texts, by distance where nothing else is known", () => {
    const two = { ...result, readings: [...result.readings, { ...reading({ text: 1 }), patterns: [] }] };
    const moved = { ...two, differences: [{ model: "m", moved: [0.1, 0, 0.4, 0.2], distance: [9, 9, 9, 9] }] };
    expect(textRows(manifest, labels, moved).map((row) => row.head)).toEqual(["m:L1:H0", "m:L1:H1", "m:L0:H0", "m:L0:H1"]);
    const apart = { ...two, differences: [{ model: "m", moved: null, distance: [1, 4, 2, 3] }] };
    expect(textRows(manifest, labels, apart)[0]?.head).toBe("m:L0:H1");
    expect(readingsOf(two, "m")).toHaveLength(2);
  });
  it("keep their order where the atlas cannot compare", () => {
    const none = { ...result, readings: [{ ...reading({ unusual: null, distance: null, share: null }), patterns: [] }] };
    expect(textRows(manifest, labels, none).map((row) => row.head)).toEqual(["m:L0:H0", "m:L0:H1", "m:L1:H0", "m:L1:H1"]);
  });
});

describe("a request", () => {
  beforeEach(() => {
    vi.resetModules();
    vi.stubGlobal("document", { baseURI: "http://127.0.0.1:8377/?page=text", querySelector: () => null });
  });
  it("shows the reason of a refusal, whatever its form", async () => {
    const { ask, extension } = await import("../src/data/source");
    expect(extension()).toBe("");
    const answers = [
      new Response('{"error": "the text is empty"}', { status: 400 }),
      new Response("only pages of this server may send that\n", { status: 403 }),
      new Response('{"error": 5}', { status: 500 }),
    ];
    vi.stubGlobal("fetch", async () => answers.shift());
    await expect(ask("live/read", {})).rejects.toThrow(/^the text is empty$/);
    await expect(ask("live/read", {})).rejects.toThrow(/403.*only pages/);
    await expect(ask("live/read", {})).rejects.toThrow(/500/);
  });
  it("that was stopped fails as stopped, not as a lost server", async () => {
    const { ask } = await import("../src/data/source");
    const control = new AbortController();
    vi.stubGlobal("fetch", async () => {
      control.abort();
      throw new DOMException("stopped", "AbortError");
    });
    await expect(ask("live/read", {}, control.signal)).rejects.toThrow("stopped");
    await expect(ask("live/read", {})).rejects.toThrow(/motifs serve --live/);
  });
});
