import { describe, expect, it } from "vitest";
import type { Feature } from "../src/contract/generated";
import { chosenFeatures, counted, groupsOf, mostCorrelated, rangeInWords, sharedLines, signedLog } from "../src/pages/features/words";

const feature = (name: string, set: string, context: string): Feature =>
  ({ name, set, context, statistic: "mean", large: "heavy diagonal" }) as Feature;

describe("features", () => {
  it("groups too low for a name share one", () => {
    const groups = [10, 2, 2, 9, 1].map((count, i) => ({ title: `g${i}`, count }));
    expect(sharedLines(groups, 4)).toEqual([
      { title: "g0", count: 10 },
      { title: "g1, g2", count: 4 },
      { title: "g3", count: 9 },
      { title: "g4", count: 1 },
    ]);
    expect(groups[1]).toEqual({ title: "g1", count: 2 });
  });

  it("ranges in words", () => {
    expect(rangeInWords({ low: 0, high: 1 })).toBe("0 to 1");
    expect(rangeInWords({ low: 0, high: null })).toBe("0 or more");
    expect(rangeInWords({ low: null, high: 2 })).toBe("2 or less");
    expect(rangeInWords({ low: 1, high: 1 })).toBe("1");
    expect(rangeInWords({ low: null, high: null })).toBe("any number");
  });

  it("fall into runs of what they are taken from", () => {
    expect(groupsOf([])).toEqual([]);
    const contexts = ["diag", "diag", "gram.row", "diag"].map((context) => ({ context }));
    expect(groupsOf(contexts)).toEqual([
      { title: "diag", count: 2 },
      { title: "gram.row", count: 1 },
      { title: "diag", count: 1 },
    ]);
  });

  it("are found by all words, by set and by context", () => {
    const all = [feature("diag.mean", "paper", "diag"), feature("x", "mine", "diag"), feature("y", "mine", "z")];
    const none = { filter: "", set: "", context: "" };
    expect(chosenFeatures(all, none)).toHaveLength(3);
    expect(chosenFeatures(all, { ...none, filter: "HEAVY diag.m" }).map((one) => one.name)).toEqual(["diag.mean"]);
    expect(chosenFeatures(all, { ...none, set: "mine", context: "z" }).map((one) => one.name)).toEqual(["y"]);
    expect(counted(["b", "a", "b"]).map((one) => one.title)).toEqual(["all", "b (2)", "a (1)"]);
  });

  it("the most correlated are ordered by size, whatever the sign; undefined ones are left out", () => {
    const r = Float32Array.from([1, 0.2, -0.9, Number.NaN, 0.2, 1, 0, 0, -0.9, 0, 1, 0, 0, 0, 0, 1]);
    expect(mostCorrelated(r, 4, 0, 9)).toEqual([2, 1]);
    expect(mostCorrelated(r, 4, 0, 1)).toEqual([2]);
  });

  it("signed logarithms keep the sign and end at six powers of ten", () => {
    expect(signedLog(100, 100)).toBe(1);
    expect(signedLog(-0.1, 100)).toBeCloseTo(-0.5);
    expect(signedLog(1e-9, 100)).toBe(0);
    expect(signedLog(0, 100)).toBe(0);
  });
});
