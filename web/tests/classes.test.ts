import { describe, expect, it } from "vitest";
import type { ClassTag, HeadClass } from "../src/contract/generated";
import { byHead, byScore, chooseClasses, conflictsOf, papersByClass, presentFirst, scoreOf } from "../src/pages/classes/choose";

const headClass = (name: string, kind: HeadClass["kind"], rows: number[]): HeadClass => ({
  name,
  group: name.split(" ")[0] as string,
  colour: "#123456",
  description: `heads of ${name}`,
  kind,
  rows,
  elsewhere: [],
});
const classes = [
  headClass("induction", "literature", [1, 2]),
  headClass("induction (computed)", "computed", [2]),
  headClass("copy suppression", "literature", []),
];
const tag = (row: number, name: string, paper: string, conflict = ""): ClassTag => ({
  row,
  head_class: name,
  paper,
  url: "https://example.org",
  evidence: "",
  note: "",
  conflict,
});
const tags = [
  tag(1, "induction", "IOI", "another says otherwise"),
  tag(2, "induction", "Olsson"),
  tag(2, "induction", "IOI"),
];
const papers = papersByClass(tags);
const all = { words: "", paper: "", kind: "any", present: false } as const;
const names = (filter: Parameters<typeof chooseClasses>[2]) =>
  chooseClasses(classes, papers, filter).map((one) => one.name);

describe("classes", () => {
  it("are chosen by words of name, description and papers", () => {
    expect(names(all)).toHaveLength(3);
    expect(names({ ...all, words: "COPY heads" })).toEqual(["copy suppression"]);
    expect(names({ ...all, words: "olsson" })).toEqual(["induction"]);
    expect(names({ ...all, words: "olsson copy" })).toEqual([]);
  });
  it("are chosen by paper, kind and presence", () => {
    expect(names({ ...all, paper: "IOI" })).toEqual(["induction"]);
    expect(names({ ...all, kind: "computed" })).toEqual(["induction (computed)"]);
    expect(names({ ...all, present: true })).toEqual(["induction", "induction (computed)"]);
  });
  it("know their papers and conflicts", () => {
    expect([...(papers.get("induction")?.keys() ?? [])]).toEqual(["IOI", "Olsson"]);
    expect(conflictsOf(tags, "induction").map((one) => one.row)).toEqual([1]);
  });
  it("are listed by head", () => {
    expect(byHead(classes).get(2)?.map((one) => one.name)).toEqual(["induction", "induction (computed)"]);
    expect(byHead(classes).get(3)).toBeUndefined();
  });
});

describe("order of classes and heads", () => {
  const scores = [{ name: "induction", meaning: "", threshold: 0.4, histogram: [], high: 1 }];
  it("a computed class and the published one have the same score", () => {
    expect(classes.slice(0, 2).map((item) => scoreOf(item, scores)?.name)).toEqual(["induction", "induction"]);
    expect(scoreOf(headClass("copy suppression", "literature", []), scores)).toBeNull();
  });
  it("heads with the highest score come first, those without one last", () => {
    expect(byScore([0, 1, 2, 3], Float32Array.of(0.1, Number.NaN, 0.9, 0.9))).toEqual([2, 3, 0, 1]);
    expect(byScore([3, 1], null)).toEqual([1, 3]);
  });
  it("classes with heads here come first", () => {
    const absent = headClass("absent", "literature", []);
    expect(presentFirst([absent, ...classes]).map((item) => item.rows.length > 0)).toEqual([true, true, false, false]);
  });
});
