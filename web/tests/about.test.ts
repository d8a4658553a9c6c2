import { describe, expect, it } from "vitest";
import { PAPER, softwareBibtex } from "../src/pages/about/bibtex";

describe("BibTeX", () => {
  it("has closed braces, whatever the version says", () => {
    for (const entry of [PAPER, softwareBibtex("0.1.0"), softwareBibtex("1}\\input{x")]) {
      const depth = [...entry].reduce((sum, one) => sum + Number(one === "{") - Number(one === "}"), 0);
      expect(depth).toBe(0);
      expect(entry).toMatch(/^@\w+\{[\w-]+,\n/);
      expect(entry).not.toContain("\\");
    }
    expect(softwareBibtex("0.1.0+g12")).toContain("version = {0.1.0+g12}");
  });
});
