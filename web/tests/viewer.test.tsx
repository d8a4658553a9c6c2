// @vitest-environment happy-dom
import { signal } from "@preact/signals";
import { deflateSync } from "node:zlib";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { VIEW_SCHEMA, type View } from "../src/contract/viewer";
import { triangleIndex, triangleSize, type Pattern } from "../src/data/patterns";
import { headPattern, inflate, layerPatterns, noteOf, readView, spread, viewHeadName } from "../src/data/view";
import { scale, sink } from "../src/state/params";
import { go, here, keepInMemory, parameters } from "../src/state/url";
import { headAfter } from "../src/viewer/keys";
import { Viewer } from "../src/viewer/viewer";
import { shrink } from "../src/views/pattern-canvas/image";
import { describe as describeCell, shadesOf, strongest } from "../src/views/pattern-inspect/reading";
import type { Cell } from "../src/views/pattern-matrix/api";
import { PatternGrid } from "../src/views/pattern-grid/view";
import { labelled } from "../src/views/token-axes/view";
import { WeightBar } from "../src/views/weight-bar/view";
import { change, click, draw, press, texts } from "./dom";

const packed = (bytes: Uint8Array) => deflateSync(bytes).toString("base64");

/** Triangles with bytes that name their head, query and key. */
function triangles(nHeads: number, n: number): Uint8Array {
  return Uint8Array.from({ length: nHeads * triangleSize(n) }, (_, i) => (i * 7) % 251);
}

function view(n = 6, side = n): View {
  return {
    schema: VIEW_SCHEMA,
    model: "org/<b>m</b>",
    prompt: "a b",
    tokens: Array.from({ length: n }, (_, i) => (i === 1 ? "</script>" : `t${i}`)),
    bos: false,
    n_tokens: n,
    side,
    layers: [2, 5].map((layer) => ({ layer, n_heads: 3, data: packed(triangles(3, side)) })),
    whole: side < n ? [{ layer: 5, head: 1, data: packed(triangles(1, n)) }] : [],
    notes: [
      {
        layer: 5,
        head: 1,
        verdict: "induction",
        probability: 0.93,
        sentence: "It attends.",
        near: [
          { head: "org/<b>m</b>:L2:H2", distance: 0.5 },
          { head: "other:L0:H0", distance: 0.75 },
        ],
      },
    ],
    metric: "recommended",
    layer: 5,
    head: 1,
    scale: "sqrt",
    colours: "viridis",
    first_token: "apart",
    theme: "auto",
  };
}

describe("data of a viewer", () => {
  it("are unpacked per layer, once", async () => {
    const data = view();
    const layer = data.layers[0] as View["layers"][number];
    const patterns = await layerPatterns(data, layer);
    expect(patterns.map((pattern) => pattern.n)).toEqual([6, 6, 6]);
    expect([...(patterns[1] as Pattern).triangle]).toEqual([...triangles(3, 6).slice(21, 42)]);
    expect(layerPatterns(data, layer)).toBe(layerPatterns(data, layer));
    expect([...(await inflate(packed(Uint8Array.of(1, 2, 255))))]).toEqual([1, 2, 255]);
  });

  it("of another version or length are refused", async () => {
    expect(() => readView(JSON.stringify({ ...view(), schema: 99 }))).toThrow(/schema 99/);
    expect(readView(JSON.stringify(view()).replace("t2", "\\ud83d")).tokens[2]).toBe("\ufffd");
    const short = { layer: 1, n_heads: 2, data: packed(triangles(1, 6)) };
    await expect(layerPatterns(view(), short)).rejects.toThrow(/Layer 1 holds 21 bytes, not 42/);
  });

  it("give a head in full, or as blocks with their side", async () => {
    expect(await headPattern(view(), 2, 0)).toMatchObject({ block: 1, pattern: { n: 6 } });
    const coarse = view(6, 3);
    expect(await headPattern(coarse, 5, 1)).toMatchObject({ block: 1, pattern: { n: 6 } });
    const { pattern, block } = await headPattern(coarse, 2, 1);
    expect(block).toBe(2);
    expect(pattern.n).toBe(6);
    // Blocks of a spread pattern are the stored ones again.
    const [, stored] = await layerPatterns(coarse, coarse.layers[0] as View["layers"][number]);
    expect([...shrink(pattern, 3).triangle]).toEqual([...(stored as Pattern).triangle]);
    await expect(headPattern(coarse, 9, 0)).rejects.toThrow(/layer 9/);
  });

  it("spread every block over its tokens", () => {
    const wide = spread({ head: 0, prompt: 0, n: 2, triangle: Uint8Array.of(1, 2, 3) }, 5);
    for (let query = 0; query < 5; query++) {
      for (let key = 0; key <= query; key++) {
        const block = (token: number) => Math.floor((token * 2) / 5);
        expect(wide.triangle[triangleIndex(query, key)]).toBe(block(query) === 0 ? 1 : block(key) === 0 ? 2 : 3);
      }
    }
  });

  it("name heads and find notes", () => {
    expect(viewHeadName(view(), 5, 1)).toBe("org/<b>m</b>:L5:H1");
    expect(viewHeadName({ model: "" }, 5, 1)).toBe("L5:H1");
    expect(noteOf(view(), 5, 1)?.verdict).toBe("induction");
    expect(noteOf(view(), 2, 0)).toBeNull();
  });
});

describe("the reading of a pattern", () => {
  const rows = [[255], [200, 100], [220, 90, 40]];
  const pattern: Pattern = { head: 0, prompt: 0, n: 3, triangle: Uint8Array.from(rows.flat()) };

  it("skips the first token unless it is in its place", () => {
    expect(strongest(pattern, 2, "shown")).toEqual({ query: 2, key: 0 });
    expect(strongest(pattern, 2, "apart")).toEqual({ query: 2, key: 1 });
    expect(strongest(pattern, 0, "hidden")).toEqual({ query: 0, key: 0 });
  });

  it("shades the tokens of a row or a column", () => {
    const style = { scale: "sqrt", sink: "apart", top: 100 } as const;
    const row = shadesOf(pattern, { query: 2, key: 1 }, "query", style);
    expect(row[0]).toBeCloseTo(220 / 255);
    expect(row[1]).toBeCloseTo(0.9);
    const column = shadesOf(pattern, { query: 2, key: 1 }, "key", style);
    expect([...column].map((shade) => shade > 0)).toEqual([false, true, true]);
    expect(shadesOf(pattern, { query: 2, key: 1 }, "query", { ...style, sink: "hidden" })[0]).toBe(0);
    expect([...shadesOf(pattern, null, "query", style)]).toEqual([0, 0, 0]);
  });

  it("says of a block that its weight is an upper bound", () => {
    const token = (place: number) => `t${place}`;
    expect(describeCell(pattern, { query: 2, key: 0 }, token)).toContain("74.4 %");
    expect(describeCell(pattern, { query: 2, key: 0 }, token, 4)).toContain("at most 74.4 %");
  });
});

describe("labels of tokens", () => {
  it("are as many as fit, with the active one in place of its neighbours", () => {
    expect(labelled(4, 1, null)).toEqual([0, 1, 2, 3]);
    expect(labelled(10, 4, 5)).toEqual([0, 5]);
    expect(labelled(10, 4, 4)).toEqual([0, 4, 8]);
    for (let active = 0; active < 10; active++) expect(labelled(10, 4, active)).toContain(active);
  });
});

describe("the colours of weights", () => {
  it("have the numbers and the name of their scale", async () => {
    const style = { scale: "log", map: "viridis", sink: "apart" } as const;
    const bar = await draw(<WeightBar style={style} top={0.5} />);
    expect(bar.textContent).toContain("logarithmic scale");
    expect(bar.textContent).toContain("first token apart");
    expect(texts(bar, "text").at(-1)).toBe("0.5");
    const other = await draw(<WeightBar style={{ ...style, scale: "sqrt" }} top={1} topText="largest" />);
    expect(texts(other, "text").filter((text) => text !== "")).toEqual(["largest"]);
  });
});

describe("parameters in memory", () => {
  it("change without an address", () => {
    keepInMemory("?scale=log");
    const before = window.location.href;
    expect(scale.value).toBe("log");
    sink.set("hidden");
    expect(sink.value).toBe("hidden");
    expect(parameters.value.get("scale")).toBe("log");
    expect(here(scale.to("sqrt"))).toBe("?sink=hidden");
    go("?");
    expect(sink.value).toBe("apart");
    expect(window.location.href).toBe(before);
  });
});

describe("the viewer", () => {
  beforeEach(() => keepInMemory("?sink=apart"));

  it("goes through all heads in a circle", () => {
    const { layers } = view();
    expect(headAfter(layers, [2, 2], 1)).toEqual([5, 0]);
    expect(headAfter(layers, [5, 2], 1)).toEqual([2, 0]);
    expect(headAfter(layers, [2, 0], -1)).toEqual([5, 2]);
  });

  it("shows names and tokens as text, the verdict and the nearest heads", async () => {
    const page = await draw(<Viewer view={view()} />);
    await vi.waitFor(() => expect(page.querySelectorAll(".token")).toHaveLength(6));
    expect(page.querySelector("h1")?.textContent).toBe("org/<b>m</b>:L5:H1");
    expect(page.querySelector("b, script")).toBeNull();
    expect(page.querySelector(".viewer-note")?.textContent).toContain("induction (probability 0.93)");
    expect(texts(page, ".viewer-near")).toEqual(["L2:H2 0.500", "other:L0:H0 0.750"]);
    // A nearest head of the same model is opened by a click, one of another model is a name.
    await click(page, ".viewer-near-head");
    expect(page.querySelector("h1")?.textContent).toBe("org/<b>m</b>:L2:H2");
    expect(page.querySelector(".viewer-note")).toBeNull();
  });

  it("changes by keys, but not while something is typed", async () => {
    const page = await draw(<Viewer view={view()} />);
    await vi.waitFor(() => expect(page.querySelectorAll(".token")).toHaveLength(6));
    await press(page, "h1", "n");
    expect(page.querySelector("h1")?.textContent).toBe("org/<b>m</b>:L5:H2");
    await press(page, "h1", "s");
    expect(scale.value).toBe("log");
    await press(page, "h1", "t");
    expect(sink.value).toBe("hidden");
    await press(page, "select", "t");
    expect(sink.value).toBe("hidden");
  });

  it("chooses a head of the map by arrow keys, within its bounds", async () => {
    const picked: number[][] = [];
    const grid = (selected: readonly [number, number]) => (
      <PatternGrid
        label="Heads"
        rows={[{ layer: 2, nHeads: 3 }, { layer: 5, nHeads: 1 }]}
        n={6}
        size={40}
        style={{ scale: "sqrt", map: "viridis", sink: "shown" }}
        load={async () => []}
        active={signal<Cell | null>(null)}
        selected={selected}
        marked={() => false}
        describe={() => ""}
        onPick={(layer, head) => picked.push([layer, head])}
        onHover={() => undefined}
      />
    );
    let page = await draw(grid([2, 2]));
    await press(page, ".pattern-grid", "ArrowDown");
    await press(page, ".pattern-grid", "ArrowRight");
    await press(page, ".pattern-grid", "ArrowUp");
    page = await draw(grid([5, 0]));
    await press(page, ".pattern-grid", "ArrowLeft");
    // Keys may come before the page is drawn anew.
    expect(picked).toEqual([[5, 0], [5, 0], [2, 0], [5, 0]]);
  });

  it("marks the cell of a hovered token", async () => {
    const page = await draw(<Viewer view={view()} />);
    await vi.waitFor(() => expect(page.querySelectorAll(".token")).toHaveLength(6));
    await change(() => {
      page.querySelector(".token[data-token='3']")?.dispatchEvent(new Event("pointerover", { bubbles: true }));
    });
    expect(page.querySelector(".token[data-query]")?.getAttribute("data-token")).toBe("3");
    expect(page.querySelector(".pattern-readout")?.textContent).toContain("Query 3");
  });
});
