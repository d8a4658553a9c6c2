import { describe, expect, it } from "vitest";
import {
  cutTree,
  heightOfCut,
  leafOrder,
  leavesBelow,
  membersOf,
  mergesMade,
  numberBySize,
} from "../src/data/tree";

// scipy.cluster.hierarchy.linkage(pdist([[0], [1], [5], [6.5], [20], [20.25]]), "average"), by hand:
// (4,5) at 0.25, (0,1) at 1, (2,3) at 1.5, their union at 5.25, all at 17.
const SIX = new Float32Array([
  4, 5, 0.25, 2, //
  0, 1, 1, 2, //
  2, 3, 1.5, 2, //
  7, 8, 5.25, 4, //
  6, 9, 17, 6, //
]);

describe("a tree", () => {
  it("is cut by number", () => {
    expect([...cutTree(SIX, { by: "number", value: 1 })]).toEqual([0, 0, 0, 0, 0, 0]);
    expect([...cutTree(SIX, { by: "number", value: 2 })]).toEqual([0, 0, 0, 0, 1, 1]);
    expect([...cutTree(SIX, { by: "number", value: 3 })]).toEqual([0, 0, 1, 1, 2, 2]);
    expect([...cutTree(SIX, { by: "number", value: 5 })]).toEqual([1, 2, 3, 4, 0, 0]);
    expect([...cutTree(SIX, { by: "number", value: 6 })]).toEqual([0, 1, 2, 3, 4, 5]);
  });
  it("takes numbers out of range as the nearest that is in it", () => {
    expect(new Set(cutTree(SIX, { by: "number", value: 0 })).size).toBe(1);
    expect(new Set(cutTree(SIX, { by: "number", value: 99 })).size).toBe(6);
  });
  it("is cut by height, merges at that height made", () => {
    expect([...cutTree(SIX, { by: "height", value: 0 })]).toEqual([0, 1, 2, 3, 4, 5]);
    expect([...cutTree(SIX, { by: "height", value: 1 })]).toEqual([0, 0, 2, 3, 1, 1]);
    expect([...cutTree(SIX, { by: "height", value: 1.49 })]).toEqual([0, 0, 2, 3, 1, 1]);
    expect([...cutTree(SIX, { by: "height", value: 5.25 })]).toEqual([0, 0, 0, 0, 1, 1]);
    expect([...cutTree(SIX, { by: "height", value: 100 })]).toEqual([0, 0, 0, 0, 0, 0]);
  });
  it("leaves small clusters out", () => {
    expect([...cutTree(SIX, { by: "height", value: 1 }, 2)]).toEqual([0, 0, -1, -1, 1, 1]);
    expect([...cutTree(SIX, { by: "number", value: 2 }, 3)]).toEqual([0, 0, 0, 0, -1, -1]);
  });
  it("gives a height between the merges of a cut by number", () => {
    for (let value = 1; value <= 6; value++) {
      const height = heightOfCut(SIX, { by: "number", value });
      expect(mergesMade(SIX, { by: "height", value: height })).toBe(6 - value);
    }
  });
  it("puts its leaves from left to right", () => {
    expect([...leafOrder(SIX)]).toEqual([4, 5, 0, 1, 2, 3]);
    expect([...leavesBelow(SIX, 9)]).toEqual([0, 1, 2, 3]);
    expect([...leavesBelow(SIX, 3)]).toEqual([3]);
  });
  it("may have one leaf or two", () => {
    const one = new Float32Array(0);
    expect([...cutTree(one, { by: "number", value: 3 })]).toEqual([0]);
    expect([...leafOrder(one)]).toEqual([0]);
    const two = new Float32Array([0, 1, 3, 2]);
    expect([...cutTree(two, { by: "height", value: 2 })]).toEqual([0, 1]);
    expect([...cutTree(two, { by: "height", value: 3 })]).toEqual([0, 0]);
  });
});

describe("clusters", () => {
  it("are numbered by size, then by first member", () => {
    expect([...numberBySize(Int32Array.from([7, 3, 3, 9, 9, -1]))]).toEqual([2, 0, 0, 1, 1, -1]);
  });
  it("know their members", () => {
    expect(membersOf(Int32Array.from([1, 0, 0, -1]))).toEqual([[1, 2], [0]]);
  });
});
