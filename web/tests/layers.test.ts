import { describe, expect, it } from "vitest";
import { circles, importsOf, problem } from "../scripts/check-imports.mjs";

describe("the order of imports", () => {
  it("is checked", () => {
    expect(problem("pages/head", "views/table/view")).toBeNull();
    expect(problem("views/table/view", "pages/head")).toMatch(/higher layer/);
    expect(problem("data/heads", "state/url")).toMatch(/higher layer/);
    expect(problem("data/heads", "../tests/x")).toMatch(/outside/);
  });

  it("has no circles", () => {
    const graph = new Map([["a", ["b", "c"]], ["b", ["c"]], ["c", []]]);
    expect(circles(graph)).toEqual([]);
    graph.set("c", ["a"]);
    expect(circles(graph)).toEqual([["a", "b", "c", "a"]]);
  });

  it("finds imports of every form", () => {
    const text = `import "./a.css";\nimport type { B } from '../b';\nexport { c } from "./c";\nconst d = () => import("../d");\nimport e from "preact";`;
    expect(importsOf(text)).toEqual(["./a.css", "../b", "./c", "../d"]);
  });
});
