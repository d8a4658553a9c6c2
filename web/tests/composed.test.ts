import { describe, expect, it } from "vitest";
import { composed, isolated } from "../src/data/composed";

describe("texts among other words", () => {
  it("are isolated if they have a direction of their own", () => {
    const hebrew = "\u05e9\u05dc\u05d5\u05dd";
    expect(composed`Query ${3} ‘${hebrew}’ attends to ‘${"cat"}’`).toBe(`Query 3 ‘\u2068${hebrew}\u2069’ attends to ‘cat’`);
  });

  it("cannot end their isolation", () => {
    expect(isolated("a\u202eb\u2069c")).toBe("\u2068a\u202ebc\u2069");
  });

  it("are unchanged otherwise", () => {
    for (const text of ["", "gpt2-small:L5:H1", "语言", "é 😀"]) expect(isolated(text)).toBe(text);
    expect(composed`no value`).toBe("no value");
    expect(composed`${1}${2}`).toBe("12");
  });
});
