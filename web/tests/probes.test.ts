import { describe, expect, it } from "vitest";
import type { Prompt } from "../src/contract/generated";
import { choiceTitle, isProbe, promptsById, shortId, viewablePrompts } from "../src/data/prompts";
import { choosePrompts } from "../src/pages/head/choose";

function prompt(id: string, group: Prompt["group"], viewable = true): Prompt {
  return { id, source: "made up", text: `text of ${id}`, cut: false, n_tokens: [8], viewable, group, labels: {} };
}

const PROMPTS = [
  prompt("0123456789abcdef", "prompts"),
  prompt("aaaa456789abcdef", "prompts", false),
  prompt("probe-01", "probes"),
  prompt("own-01", "probes"),
];

describe("probes", () => {
  it("can be viewed, and are marked in lists of choices", () => {
    expect(viewablePrompts(PROMPTS)).toEqual([0, 2, 3]);
    expect(PROMPTS.map(isProbe)).toEqual([false, false, true, true]);
    expect(choiceTitle(PROMPTS[2] as Prompt, "a line")).toBe("Probes: a line");
    expect(choiceTitle(PROMPTS[0] as Prompt, "a line")).toBe("a line");
  });

  it("have ids that links tell apart", () => {
    const ids = PROMPTS.map(shortId);
    expect(new Set(ids).size).toBe(PROMPTS.length);
    expect(promptsById(PROMPTS, ids)).toEqual([0, 1, 2, 3]);
  });

  it("follow the prompts unless others are chosen", () => {
    expect(choosePrompts([], [0, 1], 1, 0, [2])).toEqual([0, 2]);
    expect(choosePrompts([3], [0, 1], 1, 0, [2])).toEqual([3]);
    expect(choosePrompts([], [0, 1], 5, 0)).toEqual([0, 1]);
  });
});
