import { describe, expect, it } from "vitest";
import { assign } from "../src/data/assignment";
import {
  carryOver,
  checkedName,
  nameCluster,
  readNames,
  writeNames,
} from "../src/data/cluster-names";
import { generator } from "../src/state/random";

/** Largest sum over all pairings, by trying them. */
function best(weights: number[][], nColumns: number, row = 0, used = 0): number {
  if (row === weights.length) return 0;
  let most = best(weights, nColumns, row + 1, used);
  for (let j = 0; j < nColumns; j++) {
    if (used & (1 << j)) continue;
    const here = (weights[row]?.[j] as number) + best(weights, nColumns, row + 1, used | (1 << j));
    most = Math.max(most, here);
  }
  return most;
}

describe("assignment", () => {
  it("finds the largest sum, for any shape", () => {
    const random = generator(7);
    for (let trial = 0; trial < 200; trial++) {
      const nRows = Math.floor(random() * 5);
      const nColumns = Math.floor(random() * 6);
      const weights = Array.from({ length: nRows }, () =>
        Array.from({ length: nColumns }, () => Math.round(random() * 10) / 10),
      );
      const columns = assign(weights, nColumns);
      const taken = columns.filter((one) => one >= 0);
      expect(new Set(taken).size).toBe(taken.length);
      const sum = columns.reduce((all, j, i) => all + (j < 0 ? 0 : (weights[i]?.[j] as number)), 0);
      expect(sum).toBeCloseTo(best(weights, nColumns));
    }
  });
});

describe("assignment of few to many", () => {
  it("takes no longer for many columns than it must", () => {
    expect(assign([], 20_000)).toEqual([]);
    const one = Array.from({ length: 20_000 }, (_, i) => i);
    expect(assign([one], 20_000)).toEqual([19_999]);
    expect(assign(one.map((i) => [i]), 1).indexOf(0)).toBe(19_999);
  });
});

const heads = ["a:L0:H0", "a:L0:H1", "a:L1:H0", "a:L1:H1", "org/b:L0:H0"];
const labels = Int32Array.from([0, 0, 0, 1, 1]);

describe("names of clusters", () => {
  it("are found again by their heads, not by the number", () => {
    const names = nameCluster([], heads, labels, 1, "late", "a note");
    expect(names).toEqual([
      { name: "late", note: "a note", models: ["a", "org/b"], members: ["a:L1:H1", "org/b:L0:H0"] },
    ]);
    const next = carryOver(names, heads, Int32Array.from([1, 1, 1, 0, 0]));
    expect(next.names.get(0)?.name).toBe("late");
    expect(next.unassigned).toEqual([]);
  });
  it("go to no cluster below an overlap of 0.3", () => {
    const names = nameCluster([], heads, labels, 0, "early", "");
    expect(carryOver(names, heads, Int32Array.from([-1, -1, 0, -1, 0])).unassigned).toHaveLength(1);
  });
  it("do not count heads of models that were not there", () => {
    const names = nameCluster([], heads.slice(0, 4), labels.subarray(0, 4), 1, "late", "");
    // Of cluster 0 only a:L1:H1 counts: an overlap of 1 instead of 1/2.
    const carried = carryOver(names, heads, Int32Array.from([1, 1, 1, 0, 0]));
    expect(carried.names.get(0)?.name).toBe("late");
  });
  it("replace what the cluster was called, and the same spelling elsewhere", () => {
    const once = nameCluster([], heads, labels, 0, "x", "");
    expect(nameCluster(once, heads, labels, 0, "y", "").map((one) => one.name)).toEqual(["y"]);
    expect(nameCluster(once, heads, labels, 1, "x", "").map((one) => one.members.length)).toEqual([2]);
  });
  it("are written as they are read", () => {
    const names = nameCluster([], heads, labels, 1, "<script>", 'say "so"');
    expect(readNames(writeNames(names))).toEqual(names);
    expect(() => readNames("[")).toThrow("not JSON");
    expect(() => readNames('{"schema": 2, "names": []}')).toThrow("schema");
    expect(() => readNames('{"schema": 1, "names": [{"name": "x", "members": []}]}')).toThrow("names[0]");
  });
  it("are one short line", () => {
    expect(checkedName("  sinks ")).toBe("sinks");
    expect(checkedName("")).toBeNull();
    expect(checkedName("a\nb")).toBeNull();
    expect(checkedName("\u202eabc")).toBeNull();
    expect(checkedName("x".repeat(81))).toBeNull();
  });
});
