import { describe, expect, it } from "vitest";
import type { ClassTag, HeadClass } from "../src/contract/generated";
import { byHead, chooseClasses, conflictsOf, papersByClass } from "../src/pages/classes/choose";

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
