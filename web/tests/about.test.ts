import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DIFFERENCES } from "../src/pages/about/differences";
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

describe("differences from the paper", () => {
  it("are those that the documentation names, in its order", () => {
    const text = readFileSync(new URL("../../docs/method.md", import.meta.url), "utf8");
    const section = text.split("## Differences from the paper")[1]?.split("\n## ")[0] ?? "";
    const rows = [...section.matchAll(/^\| ([^|]+?) \|/gm)].map((match) => match[1]);
    const named = rows.filter((name) => !/^-+$/.test(name ?? ""));
    expect(named.length).toBeGreaterThan(3);
    expect(DIFFERENCES.map(([what]) => what)).toEqual(named);
  });
});
