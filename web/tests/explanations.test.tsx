// @vitest-environment happy-dom
import { beforeEach, describe, expect, it } from "vitest";
import type { HeadClass, HeadExplanation, Manifest, Motif } from "../src/contract/generated";
import { labelText, verdictText, type Labels, type Verdicts } from "../src/data/explanations";
import type { Heads } from "../src/data/heads";
import { Answer } from "../src/pages/head/verdict";
import { chanceText, verdictLine } from "../src/pages/head/verdict-words";
import { filterRows, headRows, numberColumns } from "../src/pages/heads/rows";
import { go } from "../src/state/url";
import { MotifBar } from "../src/views/motif-bar/view";
import { arrange } from "../src/views/table/order";
import { draw, texts } from "./dom";
import { manifest as made } from "./manifest";

beforeEach(() => go("?page=head"));

const MOTIFS: Motif[] = [
  { name: "first token", meaning: "attention to the first token", colour: "#3a7be0" },
  { name: "self", meaning: "attention to the token itself", colour: "#c2409f" },
  { name: "residual", meaning: "attention that no motif explains", colour: "#7d7d7d" },
];
const manifest = {
  ...made,
  motifs: MOTIFS,
  explained_by: "mean",
  missing: {},
  scores: [
    { name: "induction", meaning: "", threshold: 0.4 },
    { name: "copying", meaning: "", threshold: null },
  ],
} as unknown as Manifest;

const induction = new Float32Array([0.9, 0.1, Number.NaN, 0.1, 0, 0, 0, 0, 0]);
const heads = {
  n: 9,
  layer: new Uint16Array([0, 0, 0, 1, 1, 1, 0, 1, 2]),
  column: (name: string) => (name === "induction" ? { values: induction, column: {} } : null),
} as unknown as Heads;
const verdicts: Verdicts = {
  verdict: (row) => (row === 1 ? "self" : "unknown"),
  probability: new Float32Array([0.7, 0.85, Number.NaN, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]),
};
const named = { name: "name mover", kind: "literature" } as HeadClass;
const measured = new Map([["induction", Float32Array.of(0.9)]]);
const labels: Labels = { measured, byHead: new Map([[4, [{ class: named, tags: [] }]]]), verdicts };

const explanation: HeadExplanation = {
  sentence: "On 4 prompts, it attends to the first token (80 % ± 3).",
  verdict: "induction",
  probability: 0.87,
  classes: [
    { name: "induction", probability: 0.87 },
    { name: "unknown", probability: 0.13 },
  ],
  shares: [0.8, 0.15, 0.05],
  spreads: [0.03, 0.01, 0],
  nearest: [
    { row: 4, distance: 0.25, classes: ["induction"], source: "A <b>paper</b> https://example.org/a; induction score 0.90" },
    { row: 7, distance: 0.5, classes: ["self"], source: "javascript:alert(1)" },
  ],
  writes: { copying: 0.25 },
  typical: [{ prompt: 0, departure: 0.1, motif: "self", share: 0.2 }],
  departs: [],
  viewed: [0],
  null_percentile: 99.96,
  would_change: "The verdict would change if 3 of its 8 nearest labelled heads were self heads.",
};
const prompt = { id: "0123456789abcdef", source: "s", text: "<i>text</i>", cut: false, n_tokens: [3, 3], viewable: true, group: "prompts", labels: {} } as const;

describe("words about a head", () => {
  it("are its measured class, its published class, or its verdict", () => {
    expect(labelText(manifest, labels, 0)).toBe("induction 0.90");
    expect(labelText(manifest, labels, 4)).toBe("name mover");
    expect(labelText(manifest, labels, 1)).toBe("probably self (0.85)");
    expect(labelText(manifest, labels, 3)).toBe("class unknown");
    expect(labelText(manifest, { ...labels, verdicts: null }, 3)).toBe("");
  });

  it("say nothing where no verdict was learnt", () => {
    expect(verdictText(verdicts, 2)).toBe("");
  });

  it("give a verdict in one line, with how sure it is", () => {
    expect(verdictLine(explanation)).toBe("Probably an induction head, probability 0.87");
    expect(verdictLine({ ...explanation, verdict: "self", probability: 0.5 })).toContain("Perhaps a self head");
    expect(verdictLine({ ...explanation, verdict: "unknown" })).toContain("No known class");
    expect(verdictLine({ ...explanation, probability: null })).toContain("No verdict");
  });

  it("explain the null percentile, and never claim all draws", () => {
    expect(chanceText(explanation)).toContain("more than 99 %");
    expect(chanceText({ ...explanation, null_percentile: 40.2 })).toContain("40 %");
    expect(chanceText({ ...explanation, null_percentile: null })).toBe("");
  });
});

describe("the bar of motif shares", () => {
  it("fills its width, and lists the parts by size", async () => {
    const view = await draw(<MotifBar motifs={MOTIFS} shares={[0.1, 0.6, 0.3]} spreads={[0, 0.25, 0]} label="shares" />);
    const bars = [...view.querySelectorAll("rect")];
    const last = bars.at(-1) as Element;
    expect(Number(last.getAttribute("x")) + Number(last.getAttribute("width"))).toBeGreaterThan(990);
    expect(texts(view, "li").map((text) => text.replace(/\s+/g, " "))).toEqual([
      "self60 % ± 25",
      "residual30 % ± 0",
      "first token10 % ± 0",
    ]);
  });

  it("stays empty without shares", async () => {
    const view = await draw(<MotifBar motifs={MOTIFS} shares={[0, 0, 0]} spreads={[0, 0, 0]} label="shares" />);
    expect(view.querySelectorAll("rect, li")).toHaveLength(0);
  });
});

describe("the answer of the head page", () => {
  it("shows verdict, evidence and neighbours as text", async () => {
    const view = await draw(<Answer manifest={manifest} row={0} prompts={[prompt]} found={explanation} labels={labels} />);
    expect(view.querySelector(".verdict-name")?.textContent).toContain("induction head");
    expect(view.textContent).toContain("Measured on repeated random tokens: induction 0.90");
    expect(view.textContent).toContain("<b>paper</b>");
    expect(view.textContent).toContain("<i>text</i>");
    expect(view.querySelector("b, i")).toBeNull();
    const links = [...view.querySelectorAll("a")].map((link) => link.getAttribute("href"));
    expect(links).toContain("https://example.org/a");
    expect(links.some((link) => link?.startsWith("javascript"))).toBe(false);
    expect(texts(view, ".verdict-near a.head-link")).toEqual(["small:L1:H1", "org/other-1.5:L1:H0"]);
  });
});

describe("the table of heads", () => {
  const shares = [new Float32Array(9).fill(0.5), new Float32Array([0.9, 0.1, 0, 0, 0, 0, 0, 0, 0.3]), new Float32Array(9)];
  const rows = headRows(manifest, heads, labels, shares);
  const all = { models: [], verdicts: [], motif: -1, least: 0 };

  it("filters by verdict, model and motif share", () => {
    expect(filterRows(rows, all)).toHaveLength(9);
    expect(filterRows(rows, { ...all, verdicts: ["self"] }).map((row) => row.row)).toEqual([1]);
    expect(filterRows(rows, { ...all, models: ["org/other-1.5"] })).toHaveLength(3);
    expect(filterRows(rows, { ...all, motif: 1, least: 0.2 }).map((row) => row.row)).toEqual([0, 8]);
  });

  it("sorts by the share of a motif, missing numbers last", () => {
    const columns = numberColumns(manifest);
    expect(arrange(rows, columns, "-self share", "").slice(0, 2).map((row) => row.row)).toEqual([0, 8]);
    expect(arrange(rows, columns, "-probability", "").at(-1)?.row).toBe(2);
  });
});
