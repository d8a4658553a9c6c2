// @vitest-environment happy-dom
import { describe, expect, it, vi } from "vitest";
import type { Prompt } from "../src/contract/generated";
import { hasLabels, labelCounts, viewablePrompts } from "../src/data/prompts";
import { LabelFilter } from "../src/views/label-filter/view";
import { click, draw, texts } from "./dom";

function prompt(id: string, labels: Record<string, string[]>, more: Partial<Prompt> = {}): Prompt {
  return { id, source: "s", text: id, cut: false, n_tokens: [8], viewable: true, group: "prompts", labels, ...more };
}

const PROMPTS = [
  prompt("a", { genre: ["law"], tags: ["x", "y"] }),
  prompt("b", { genre: ["news"], tags: ["x"] }, { viewable: false }),
  prompt("c", { genre: ["law"] }),
  prompt("probe", {}, { group: "probes" }),
];

describe("labels of prompts", () => {
  it("select prompts: any value of a label, and every label", () => {
    const matching = (...where: string[]) => PROMPTS.filter((item) => hasLabels(item, where)).map((item) => item.id);
    expect(matching()).toEqual(["a", "b", "c", "probe"]);
    expect(matching("genre=law")).toEqual(["a", "c", "probe"]);
    expect(matching("genre=law", "genre=news")).toEqual(["a", "b", "c", "probe"]);
    expect(matching("genre=law", "tags=y")).toEqual(["a", "probe"]);
    for (const unknown of ["genre=poem", "topic=law", "genre", "=law", ""]) expect(matching(unknown)).toEqual(["probe"]);
    expect(viewablePrompts(PROMPTS, ["genre=news"])).toEqual([3]);
  });

  it("are counted, the most frequent value first", () => {
    expect(labelCounts(PROMPTS)).toEqual([
      { key: "genre", values: [{ value: "law", count: 2 }, { value: "news", count: 1 }] },
      { key: "tags", values: [{ value: "x", count: 2 }, { value: "y", count: 1 }] },
    ]);
  });

  it("are chosen in lists, kept as they are written on the command line", async () => {
    const onChange = vi.fn();
    const view = await draw(<LabelFilter prompts={PROMPTS} where={["genre=law"]} onChange={onChange} />);
    expect(texts(view, "summary > span:first-child")).toEqual(["genre", "tags"]);
    expect(texts(view, "[role=status]")).toEqual(["2 of 3 prompts"]);
    await click(view, "details:last-of-type label:last-of-type input");
    expect(onChange).toHaveBeenLastCalledWith(["genre=law", "tags=y"]);
    await click(view, "span > button");
    expect(onChange).toHaveBeenLastCalledWith([]);
  });

  it("offer nothing where all prompts are alike, and a way back from a label that no prompt has", async () => {
    const alike = [prompt("a", { genre: ["law"] }), prompt("b", { genre: ["law"] })];
    const none = await draw(<LabelFilter prompts={alike} where={[]} onChange={vi.fn()} />);
    expect(none.textContent).toBe("");
    const unknown = await draw(<LabelFilter prompts={alike} where={["genre=poem"]} onChange={vi.fn()} />);
    expect(texts(unknown, "[role=status]")).toEqual(["No prompt here has these labels."]);
    expect(texts(unknown, "span > button")).toEqual(["All prompts"]);
  });
});
