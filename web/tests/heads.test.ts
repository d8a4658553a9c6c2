import { describe, expect, it } from "vitest";
import type { HeadClass } from "../src/contract/generated";
import { headName, headRow, parseHead, passing, type Heads } from "../src/data/heads";
import { highestRow, reason } from "../src/pages/head/unknown";
import { ranked, suggest, suggestPlaces } from "../src/views/head-search/suggest";
import { hybrid, manifest } from "./manifest";

describe("heads", () => {
  it("are read in every spelling, and written in one", () => {
    const parts = { model: "gpt2-small", layer: 5, index: 3 };
    for (const text of ["gpt2-small:L5:H3", "gpt2-small:L5H3", "gpt2-small~L5~H3", "gpt2-small.L5.H3"]) {
      expect(parseHead(text)).toEqual(parts);
    }
    expect(parseHead("org/m.L1.H1:L2:H3")).toEqual({ model: "org/m.L1.H1", layer: 2, index: 3 });
    for (const text of ["", "gpt2", "L5:H3", "gpt2:L5:H", "gpt2:L123456:H1"]) expect(parseHead(text)).toBeNull();
  });

  it("have rows and names that agree", () => {
    for (let row = 0; row < manifest.n_heads; row++) {
      expect(headRow(manifest, headName(manifest, row))).toBe(row);
    }
    expect(headName(manifest, 8)).toBe("org/other-1.5:L2:H0");
    expect(headRow(manifest, "small:L2:H0")).toBeNull();
    expect(headRow(manifest, "small:L0:H3")).toBeNull();
  });

  it("of a hybrid keep the true numbers of their layers", () => {
    expect([0, 1, 2, 3].map((row) => headName(hybrid, row))).toEqual([
      "mixed:L1:H0", "mixed:L1:H1", "mixed:L4:H0", "mixed:L4:H1",
    ]);
    for (let row = 0; row < 4; row++) expect(headRow(hybrid, headName(hybrid, row))).toBe(row);
    expect(headRow(hybrid, "mixed:L0:H0")).toBeNull();
    expect(reason(hybrid, "mixed:L0:H0")).toBe("mixed has layers 1, 4 with heads 0 to 1.");
    expect([...passing(hybrid, { models: [], layers: [2, 4], rows: null })]).toEqual([0, 0, 1, 1]);
    expect(suggest(hybrid, null, "4.1").map((item) => item.head)).toEqual(["mixed:L4:H1"]);
  });

  it("that are not there are explained, and the highest of each model offered", () => {
    expect(reason(manifest, "induction")).toContain("model:L5:H3");
    expect(reason(manifest, "gpt9:L0:H0")).toContain("small, org/other-1.5");
    expect(reason(manifest, "small:L2:H0")).toBe("small has layers 0 to 1 with heads 0 to 2.");
    const scores = [0.1, Number.NaN, 0.3, 0.2, 0, 0.3, Number.NaN, Number.NaN, Number.NaN];
    expect(manifest.models.map((model) => highestRow(scores, model))).toEqual([2, null]);
    expect(highestRow([], manifest.models[0] as (typeof manifest.models)[0])).toBeNull();
  });

  it("pass filters by model, layer and class", () => {
    const all = { models: [], layers: null, rows: null };
    expect([...passing(manifest, all)]).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 1]);
    expect([...passing(manifest, { ...all, models: ["small"], layers: [1, 9] })]).toEqual([0, 0, 0, 1, 1, 1, 0, 0, 0]);
    expect([...passing(manifest, { ...all, rows: new Set([2, 8]) })]).toEqual([0, 0, 1, 0, 0, 0, 0, 0, 1]);
  });

  it("are found next to pages and features, titles that begin with the text first", () => {
    const places = ["a cluster size", "Clusters", "Evaluation"].map((title) => ({ title, note: "page", href: () => "" }));
    expect(suggestPlaces(places, "Cluster").map((place) => place.title)).toEqual(["Clusters", "a cluster size"]);
    expect(suggestPlaces(places, "page eval").map((place) => place.title)).toEqual(["Evaluation"]);
    expect(suggestPlaces(places, " ")).toEqual([]);
  });

  it("are completed by name and place", () => {
    expect(suggest(manifest, null, "small:L1:H2").map((one) => one.head)).toEqual(["small:L1:H2"]);
    expect(suggest(manifest, null, "1.0").map((one) => one.head)).toEqual(["small:L1:H0", "org/other-1.5:L1:H0"]);
    expect(suggest(manifest, null, "OTHER l2").map((one) => one.head)).toEqual(["org/other-1.5:L2:H0"]);
    expect(suggest(manifest, null, "small L1.H2").map((one) => one.head)).toEqual(["small:L1:H2"]);
    expect(suggest(manifest, null, "<script>")).toEqual([]);
  });

  it("are found in every spelling, and no others with them", () => {
    for (const text of ["L1:H2", "L1.H2", "L1H2", "l1h2", "1.2", "1:2", "small 1.2", "small:1:2", "small~L1~H2"]) {
      expect(suggest(manifest, null, text).map((one) => one.head)).toEqual(["small:L1:H2"]);
    }
    expect(suggest(manifest, null, "other 1.2")).toEqual([]);
    expect(suggest(manifest, null, "org/other-1.5 2.0").map((one) => one.head)).toEqual(["org/other-1.5:L2:H0"]);
    expect(suggest(manifest, null, "9.9")).toEqual([]);
  });

  it("of a behaviour come by its score, before those of a class", () => {
    const values = Float32Array.of(0.1, 0.9, Number.NaN, 0.5, 0, 0, 0, 0, 0);
    const scored = { ...manifest, scores: [{ name: "copying", meaning: "", threshold: null, histogram: [], high: 1 }] };
    const heads = { column: () => ({ values }) } as unknown as Heads;
    const classes = [{ name: "copying head", group: "copying", rows: [8] }] as unknown as HeadClass[];
    const found = suggest(scored, { classes, heads }, "copying", 4);
    expect(found.map((one) => [one.row, one.reason])).toEqual([
      [1, "copying score 0.90"],
      [3, "copying score 0.50"],
      [0, "copying score 0.10"],
      [4, "copying score 0.00"],
    ]);
  });

  it("give way to a page of just this name, unless the head is spelt", () => {
    const place = (title: string, note: string) => ({ title, note, href: () => "" });
    const head = (reason: string) => ({ row: 0, head: "small:L0:H0", reason, label: "" });
    const places = [place("cluster 1", "cluster"), place("Clusters", "page")];
    const titles = (reason: string) => ranked([head(reason)], places, "cluster").map((item) => ("head" in item ? item.head : item.title));
    expect(titles("cluster score 0.5")).toEqual(["Clusters", "small:L0:H0", "cluster 1"]);
    expect(titles("")).toEqual(["small:L0:H0", "cluster 1", "Clusters"]);
  });

  it("places are found by their further text, after those with the words in the title", () => {
    const places = [
      { title: "Once upon a time…", note: "prompt", text: "Once upon a time a zebra", href: () => "" },
      { title: "zebra", note: "class", href: () => "" },
    ];
    expect(suggestPlaces(places, "zebra").map((place) => place.title)).toEqual(["zebra", "Once upon a time…"]);
  });
});
