import { describe, expect, it } from "vitest";
import type { ClassTag, HeadExplanation } from "../src/contract/generated";
import { bestPrompts, depthCounts, motifsOf, namingClass, papersOf, plainName } from "../src/pages/clusters/portrait";

const motifs = ["first token", "previous token"].map((name) => ({ name, meaning: "", colour: "" }));
const shares = [Float32Array.of(0.9, 0.9, 0.5, 0.5), Float32Array.of(0, 0.1, 0.5, 0.3)];
const part = (rows: number[], classes: [string, number, number][]) => ({
  rows,
  classes: classes.map(([name, heads, lift]) => ({ name, heads, lift })),
});

describe("motifs of a cluster", () => {
  it("come by their excess over all heads, not by their size", () => {
    const [first, second] = motifsOf([2, 3], motifs, shares);
    expect(first?.motif.name).toBe("previous token");
    expect(first?.share).toBeCloseTo(0.4);
    expect(first?.overall).toBeCloseTo(0.225);
    expect(second?.motif.name).toBe("first token");
  });
  it("leave out heads without shares, and motifs without any", () => {
    const missing = [Float32Array.of(Number.NaN, 0.2), Float32Array.of(Number.NaN, Number.NaN)];
    const known = motifsOf([0, 1], motifs, missing);
    expect(known.map((item) => item.motif.name)).toEqual(["first token"]);
    expect(known[0]?.share).toBeCloseTo(0.2);
  });
});

describe("plain name", () => {
  const listed = motifsOf([2, 3], motifs, shares);
  it("is the class of a quarter of the heads", () => {
    expect(plainName(part([0, 1, 2, 3], [["induction (computed)", 2, 3]]), listed)).toBe("induction");
  });
  it("is a motif where a class has few heads, or no more than a random draw has", () => {
    const rows = Array.from({ length: 20 }, (_, row) => row);
    expect(plainName(part(rows, [["induction", 4, 9]]), listed)).toBe("attention: previous token");
    expect(plainName(part(rows, [["induction", 9, 1.2]]), listed)).toBe("attention: previous token");
    expect(namingClass(part([1], [["induction", 1, 9]]))).toBeNull();
  });
  it("is empty where nothing is known", () => {
    expect(plainName(part([0], []), [])).toBe("");
  });
});

it("heads are counted from the first layer to the last", () => {
  const counts = depthCounts([0, 1, 2], [0, 0.55, 1]);
  expect(counts[0]).toBe(1);
  expect(counts[5]).toBe(1);
  expect(counts[9]).toBe(1);
});

it("papers come by the number of heads that they name", () => {
  const tag = (row: number, paper: string) => ({ row, paper, url: "", head_class: "a" }) as ClassTag;
  const papers = papersOf([1, 2], [tag(1, "A"), tag(1, "B"), tag(2, "B"), tag(1, "B"), tag(3, "C"), tag(2, "")]);
  expect(papers.map(({ paper, heads }) => [paper, heads])).toEqual([["B", 2], ["A", 1]]);
});

it("prompts come by the number of heads that are themselves on them", () => {
  const head = (...prompts: number[]) => ({ typical: prompts.map((prompt) => ({ prompt })) }) as unknown as HeadExplanation;
  expect(bestPrompts([head(4, 1), head(1), head(2)])).toEqual([1, 2, 4]);
});
