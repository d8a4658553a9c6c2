import { describe, expect, it } from "vitest";
import type { EvaluationRow } from "../src/contract/generated";
import { leading, reason } from "../src/pages/evaluation/headline";
import { chance, choices, decimals, domains, questions, signed, verdict, filteredRows } from "../src/pages/evaluation/rows";

function row(changes: Partial<EvaluationRow>): EvaluationRow {
  return {
    metric: "mean", model: "a", setting: "within", name: "induction", kind: "random tokens", statistic: "MAP",
    n_queries: 3, n_heads: 3, value: 0.5, low: 0.4, high: 0.6, null_mean: 0.2, null_95: 0.4, p: 0.001, p_groups: null,
    p_floor: 0.001, q: 0.002, family: "", difference: null, difference_low: null, difference_high: null,
    detector: null, exact: null, spread: null, ...changes,
  };
}

describe("rows of the evaluation", () => {
  it("empty lists of filters let everything through", () => {
    const rows = [row({}), row({ model: "a -> b" }), row({ kind: "score" })];
    const none = { models: [], kinds: [], statistics: [] };
    expect(filteredRows(rows, none)).toHaveLength(3);
    expect(filteredRows(rows, { ...none, models: ["a"] })).toHaveLength(2);
    expect(filteredRows(rows, { ...none, kinds: ["score"], models: ["a -> b"] })).toHaveLength(0);
    expect(choices(rows.map((one) => one.model))).toEqual([
      { value: "a", title: "a", count: 2 },
      { value: "a -> b", title: "a -> b", count: 1 },
    ]);
  });

  it("metrics are put beside one another by question", () => {
    const all = questions([row({}), row({ metric: "cosine", value: 0.7 }), row({ statistic: "AUROC" })]);
    expect(all).toHaveLength(2);
    expect(all[0]?.by.get("cosine")?.value).toBe(0.7);
    expect(all[1]?.by.get("cosine")).toBeUndefined();
  });

  it("an axis reaches below 0 where a row of the statistic does", () => {
    const axes = domains([row({}), row({ statistic: "S5" }), row({ statistic: "S5", null_mean: -0.1 }), row({ statistic: "S5" })]);
    expect(axes.get("MAP")).toEqual([0, 1]);
    expect(axes.get("S5")).toEqual([-1, 1]);
  });

  it("verdicts distinguish a class that is too small from one that fails", () => {
    expect(verdict(row({}))).toBe("better than its layers");
    expect(verdict(row({ p: 0.3, q: 0.4 }))).toBe("not better than its layers");
    expect(verdict(row({ p: 0.3, q: 0.4, p_floor: 0.25 }))).toBe("class too small");
    expect(verdict(row({ p: null, q: null }))).toBe("no test");
    expect(verdict(row({ value: null }))).toBe("undefined");
  });

  it("statistics keep their decimals, and a p two figures", () => {
    expect([0.34, 0.0985, 1, -0.0421].map(decimals)).toEqual(["0.340", "0.099", "1.000", "−0.042"]);
    expect([0.000999, 0.00228, 0.461, 1].map(chance)).toEqual(["0.001", "0.0023", "0.46", "1"]);
    expect([0.041, -0.126, 0].map(signed)).toEqual(["+0.04", "−0.13", "+0.00"]);
    expect([decimals(null), chance(null)]).toEqual(["–", "–"]);
  });
});

describe("the answer of the evaluation", () => {
  const line = (name: string, is_metric: boolean, map: number | null) => ({
    name,
    is_metric,
    cells: { "random tokens": { s5: null, map, s5_interval: null, map_interval: null, s5_gain: null, map_gain: null } },
  });
  it("begins with the metric to use, wherever it is in the file", () => {
    expect(leading(["Does not work: x.", "Use `a`."])).toEqual(["Use `a`.", ["Does not work: x."]]);
    expect(leading(["None."])).toEqual([null, ["None."]]);
  });
  it("gives the numbers of the metric, of the others and of the layers alone", () => {
    const text = reason([line("b", true, 0.3), line("a", true, 0.6), line("layers alone", false, 0.2)], "a");
    expect(text).toContain("0.60 by a");
    expect(text.indexOf("0.30 by b")).toBeLessThan(text.indexOf("0.20 by the layers alone"));
  });
  it("gives no reason without numbers", () => {
    expect(reason([line("a", true, null)], "a")).toBe("");
    expect(reason([], "a")).toBe("");
  });
});
