import { describe, expect, it } from "vitest";
import type { Ablations, HeadClass, Manifest } from "../src/contract/generated";
import { ablationRows, byMethod, measureId, rowsOfHead, type AblationRow } from "../src/data/ablations";
import type { Heads } from "../src/data/heads";
import { firstAnchor, headGroups, measuredGroups, setsWithControls, testedAnchors, testedGroups } from "../src/pages/ablation/groups";
import { effectDomain, effectInWords, effectRank, effectTitle, measureTitle } from "../src/views/head-effects/words";

const TEXT = ["experiment", "kind", "model", "name", "method", "measure", "design", "metric", "anchor", "test", "reference", "family"];
const NUMBER = [
  "n_heads", "clean", "ablated", "effect", "ci_low", "ci_high", "control_effect", "control_low", "control_high",
  "excess", "excess_low", "excess_high", "others_effect", "others_excess", "standardised", "p", "q", "n_tested", "p_floor", "n_controls",
  "n_sequences", "n_positions",
];

/** Rows as the table holds them: column by column, lists of heads as lists. */
function table(rows: Record<string, unknown>[]): Ablations {
  const columns: Record<string, unknown[]> = { heads: rows.map((row) => row["heads"] ?? []) };
  for (const name of TEXT) columns[name] = rows.map((row) => row[name] ?? (name === "kind" ? "head" : null));
  for (const name of NUMBER) columns[name] = rows.map((row) => row[name] ?? null);
  return { columns } as unknown as Ablations;
}

function rows(...given: Record<string, unknown>[]): AblationRow[] {
  const common = { experiment: "sweep", kind: "head", model: "m", method: "mean", measure: "loss", design: "repeated" };
  return ablationRows(table(given.map((one) => ({ ...common, ...one }))));
}

const manifest = {
  models: [
    { name: "m", n_layers: 2, n_heads: 2, layers: [0, 1], first_row: 0 },
    { name: "k", n_layers: 1, n_heads: 1, layers: [0], first_row: 4 },
  ],
  n_heads: 5,
  clusterings: [],
} as unknown as Manifest;
const heads = { n: 5, column: () => null, label: () => null } as unknown as Heads;

describe("rows of ablations", () => {
  it("missing numbers are null, missing text is empty, lists stay lists", () => {
    const [row] = rows({ name: "m:L0:H0", effect: 0.5, heads: ["m:L0:H0"] });
    expect(row).toMatchObject({ place: 0, effect: 0.5, p: null, metric: "", heads: ["m:L0:H0"] });
    expect(measureId(row as AblationRow)).toBe("loss, repeated");
    expect(ablationRows(table([]))).toEqual([]);
  });

  it("a column that is missing is named", () => {
    const broken = table([]);
    delete (broken.columns as Record<string, unknown>)["p_floor"];
    expect(() => ablationRows(broken, "ablations.json.bin")).toThrow(/ablations\.json\.bin: has no column p_floor; run/);
  });

  it("a head's rows are those where it was ablated alone", () => {
    const all = rows(
      { name: "m:L0:H0" },
      { name: "a class", kind: "set", heads: ["m:L0:H0", "m:L0:H1"] },
      { name: "m:L0:H0", kind: "set", heads: ["m:L0:H0"] },
      { name: "m:L0:H0", kind: "control", heads: ["m:L0:H0"] },
    );
    expect(rowsOfHead(all, "m:L0:H0").map((row) => row.place)).toEqual([0, 2]);
  });
});

describe("effects by method", () => {
  it("put every reference of one target in one line", () => {
    const all = rows(
      { name: "a", effect: 1, reference: "mean over 32 other repeated sequences" },
      { name: "a", effect: 2, method: "zero", reference: "zero" },
      { name: "b", effect: 3, method: "zero" },
    );
    const { references, targets } = byMethod(all);
    expect(references).toEqual(["mean over 32 other repeated sequences", "zero"]);
    expect(targets.map((one) => one.effects.map((row) => row?.effect ?? null))).toEqual([[1, 2], [null, 3]]);
  });
});

describe("groups of ablated heads", () => {
  const classes = [
    { name: "induction", rows: [0, 4] },
    { name: "empty", rows: [] },
  ] as unknown as HeadClass[];

  it("every head is in a class or in none, every layer and model is a group", () => {
    const by = (name: string) => headGroups(manifest, name, heads, classes).map((one) => [one.name, one.heads]);
    expect(by("class")).toEqual([["induction", [0, 4]], ["no class", [1, 2, 3]]]);
    expect(by("model")).toEqual([["m", [0, 1, 2, 3]], ["k", [4]]]);
    expect(by("layer")).toEqual([["m:L0", [0, 1]], ["m:L1", [2, 3]], ["k:L0", [4]]]);
    
  });

  it("clusters are called by their name, and asked for by their number", () => {
    const clustered = {
      ...manifest,
      clusterings: [{ method: "average", names: { "1": "stripes" } }],
    } as unknown as Manifest;
    const values = Uint16Array.from([1, 0, 1, 0xffff, 0]);
    const labelled = { ...heads, column: () => ({ values, column: { labels: null } }) } as unknown as Heads;
    expect(headGroups(clustered, "average", labelled, []).map((one) => [one.name, one.asked, one.heads])).toEqual([
      ["cluster 0", "cluster 0 (average)", [1, 4]],
      ["stripes", "cluster 1 (average)", [0, 2]],
      ["unclustered", "", [3]],
    ]);
  });

  it("are measured within a model, with the test of that model", () => {
    const all = rows(
      { name: "m:L0:H0", effect: 1 },
      { name: "k:L0:H0", model: "k", effect: 2 },
      { name: "m:L0:H1", effect: null },
      { name: "induction", kind: "group", model: "k", effect: 2, p: 0.01 },
    );
    const groups = measuredGroups(manifest, headGroups(manifest, "class", heads, classes), all);
    expect(groups.map((one) => [one.name, one.model, one.rows.length, one.tested?.p ?? null])).toEqual([
      ["induction", "m", 1, null],
      ["induction", "k", 1, 0.01],
    ]);
  });

  it("tested groups are those of the table, with the effects of their heads", () => {
    const near = "5 nearest of m:L0:H0 by mean";
    const all = rows({ name: "m:L0:H1", effect: 1 }, { name: near, kind: "group", heads: ["m:L0:H1", "m:L1:H0"], p: 0.2 });
    const [only, ...others] = testedGroups(all);
    expect(others).toEqual([]);
    expect(only).toMatchObject({ name: near, model: "m", tested: { p: 0.2 } });
    expect(only?.rows.map((row) => row.name)).toEqual(["m:L0:H1"]);
  });

  it("controls belong to the set of the same experiment, model and name", () => {
    const set = { kind: "set", name: "c", experiment: "class c" };
    const all = rows(set, { ...set, kind: "control" }, { ...set, kind: "control", model: "k" }, { ...set, kind: "control", experiment: "other" });
    expect(setsWithControls(all).map((one) => one.controls.map((row) => row.place))).toEqual([[1]]);
  });

  it("the first anchor has the largest effect of those that were tested, else of all", () => {
    const single = [{ name: "m:L0:H0", effect: 1 }, { name: "m:L0:H1", effect: 2 }, { name: "m:L1:H1", effect: -3 }];
    expect(firstAnchor(rows(...single))).toBe("m:L1:H1");
    const tested = ["m:L0:H0", "m:L0:H1", "m:L0:H1"].map((anchor) => ({ kind: "distance", anchor }));
    expect(testedAnchors(rows(...single, ...tested))).toEqual(["m:L0:H0", "m:L0:H1"]);
    expect(firstAnchor(rows(...single, ...tested))).toBe("m:L0:H1");
    expect(firstAnchor(rows({ kind: "distance", anchor: "m:L0:H1" }))).toBe("m:L0:H1");
    expect(firstAnchor([])).toBe("");
  });
});

describe("effects in words", () => {
  it("name the measure, the design and the unit; unknown ones as they are", () => {
    expect(measureTitle({ measure: "loss", design: "repeated" })).toBe("loss on repeated random tokens");
    expect(measureTitle({ measure: "new", design: "odd" })).toBe("new on odd");
    expect(effectTitle({ measure: "prefix matching", design: "repeated" })).toBe("change of prefix matching");
    expect(effectInWords({ effect: 0.5, ci_low: 0.4, ci_high: 0.6 })).toBe("0.5 (95 %: 0.4 to 0.6)");
    expect(effectInWords({ effect: 0.5, ci_low: null, ci_high: null })).toBe("0.5");
  });

  it("the axis holds intervals, controls and 0; ranks are by size within the model", () => {
    const all = rows(
      { name: "a", effect: 1, ci_low: 0.5, ci_high: 1.5, control_low: -0.25, control_high: 0.25 },
      { name: "b", effect: -2 },
      { name: "c", effect: 9, model: "k" },
      { name: "d", effect: 9, method: "zero" },
    );
    expect(effectDomain(all.slice(0, 1))).toEqual([-0.25, 1.5]);
    expect(effectRank(all, all[0] as AblationRow)).toEqual({ rank: 2, of: 2 });
    expect(effectRank(all, all[1] as AblationRow)).toEqual({ rank: 1, of: 2 });
  });
});
