import { describe, expect, it, vi } from "vitest";
import type { Manifest } from "../src/contract/generated";
import { loadMeasured, loadScoresOfHead } from "../src/data/scores";
import { manifest as plain } from "./manifest";

const score = (name: string) => ({ name, meaning: "", threshold: 0.5, histogram: [1, 2], high: 1 });
const manifest = {
  ...plain,
  scores: [score("induction"), score("self")],
  measured: {
    file: "measured.bin",
    bytes: 0,
    n_rows: 2,
    columns: [
      { name: "row", dtype: "uint32", offset: 0, length: 2, labels: null },
      { name: "score", dtype: "uint8", offset: 8, length: 2, labels: ["induction", "self"] },
      { name: "value", dtype: "float32", offset: 12, length: 2, labels: null },
    ],
  },
  scores_of_heads: { folder: "scores", per_file: [4, 2] },
} as unknown as Manifest;

describe("scores", () => {
  it("are known where they reach their threshold, and for one head at a time", async () => {
    vi.stubGlobal("document", { baseURI: "https://host.example/" });
    const buffer = new ArrayBuffer(20);
    new Uint32Array(buffer, 0, 2).set([4, 7]);
    new Uint8Array(buffer, 8, 2).set([1, 1]);
    new Float32Array(buffer, 12, 2).set([0.5, 0.75]);
    // Heads 4 and 5 of the first model: score, spread, percentile, of both scores.
    const ofHeads = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
    vi.stubGlobal("fetch", async (url: URL) =>
      new Response(url.pathname === "/data/measured.bin" ? buffer : url.pathname === "/data/scores/0/1.bin" ? ofHeads : null),
    );
    const measured = await loadMeasured(manifest);
    expect([...measured.keys()]).toEqual(["self"]);
    expect(measured.get("self")?.[7]).toBe(0.75);
    expect(measured.get("self")?.[0]).toBeNaN();
    const [induction, self] = await loadScoresOfHead(manifest, 5);
    expect(induction).toMatchObject({ value: 7, spread: 9, percentile: 11 });
    expect(self).toMatchObject({ value: 8, spread: 10, percentile: 12 });
    expect(await loadScoresOfHead({ ...manifest, scores: [] }, 5)).toEqual([]);
  });
});
