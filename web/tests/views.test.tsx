// @vitest-environment happy-dom
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { HeadClass, Manifest } from "../src/contract/generated";
import type { Heads } from "../src/data/heads";
import { DataError } from "../src/data/source";
import { useResource, type Resource } from "../src/state/resource";
import { go } from "../src/state/url";
import { Bars, Histogram, Interval, Strip } from "../src/views/chart/view";
import { Citation } from "../src/views/citation/view";
import { ClassTag } from "../src/views/class-tag/view";
import { ColourBar } from "../src/views/colour-bar/view";
import { Check, Many, NumberField, Select } from "../src/views/controls/view";
import { Dendrogram } from "../src/views/dendrogram/view";
import { HeadLink } from "../src/views/head-link/view";
import { HeadSearch } from "../src/views/head-search/view";
import { LayerHeadGrid } from "../src/views/layer-head-grid/view";
import { Legend } from "../src/views/legend/view";
import { PatternLens } from "../src/views/pattern-lens/view";
import { Legend as PointLegend } from "../src/views/points-3d/legend";
import { PromptLabel, promptLine } from "../src/views/prompt-label/view";
import { Empty, Failed, Loaded } from "../src/views/states/view";
import type { TableColumn } from "../src/views/table/api";
import { Table } from "../src/views/table/view";
import { TokenText, tokenLabel } from "../src/views/token-text/view";
import { change, click, draw, press, texts } from "./dom";
import { manifest } from "./manifest";

beforeEach(() => go("?page=home"));

const induction: HeadClass = {
  name: "induction",
  group: "induction",
  colour: "#d55e00",
  description: "attends to the token after an earlier occurrence",
  kind: "literature",
  rows: [1, 4],
  elsewhere: [],
};

describe("links of a head and a class", () => {
  it("lead to their pages and show names as text", async () => {
    const view = await draw(<HeadLink head="org/<b>m</b>:L5:H3" />);
    const link = view.querySelector("a");
    expect(link?.textContent).toBe("org/<b>m</b>:L5:H3");
    expect(link?.getAttribute("href")).toContain("page=head&head=org/%3Cb%3Em");
    expect(view.querySelector("b")).toBeNull();
    expect(texts(await draw(<HeadLink head="a:L5:H3" short />), "a")).toEqual(["L5:H3"]);
  });

  it("mark a class on which sources disagree", async () => {
    const tag = { row: 1, head_class: "induction", paper: "P", url: "", evidence: "e", note: "", conflict: "Q says no" };
    const view = await draw(<ClassTag class={induction} tags={[tag]} />);
    expect(view.textContent).toContain("disputed");
    expect(view.querySelector("a")?.getAttribute("data-help")).toContain("Q says no");
    expect((await draw(<ClassTag class={induction} />)).textContent).toBe("induction");
  });

  it("open sources beside the site, and only those of the web", async () => {
    const web = await draw(<Citation title="A paper" url="https://example.org/a" />);
    expect(web.querySelector("a")?.rel).toContain("noopener");
    const script = await draw(<Citation title="A paper" url="javascript:alert(1)" />);
    expect(script.querySelector("a")).toBeNull();
    expect(script.textContent).toBe("A paper");
  });
});

describe("states", () => {
  it("a failed load names the file, and is tried again without a reload", async () => {
    let attempts = 0;
    function Page() {
      const value = useResource(async () => {
        attempts += 1;
        if (attempts === 1) throw new DataError("a.bin", "is missing");
        return "content";
      }, []);
      return <Loaded resource={value} what="the file">{(text) => <p>{text}</p>}</Loaded>;
    }
    const view = await draw(<Page />);
    await vi.waitFor(() => expect(view.textContent).toContain("data/a.bin: is missing"));
    await click(view, "button");
    await vi.waitFor(() => expect(texts(view, "p")).toEqual(["content"]));
    expect(attempts).toBe(2);
  });

  it("a value of other keys is not shown, unless it is to be kept", async () => {
    const seen: Resource<number>[] = [];
    function Page({ which, keep }: { which: number; keep: boolean }) {
      seen.push(useResource(async () => which, [which], { keep }));
      return null;
    }
    await draw(<Page which={1} keep={false} />);
    await vi.waitFor(() => expect(seen.at(-1)?.value).toBe(1));
    seen.length = 0;
    await draw(<Page which={2} keep={false} />);
    expect(seen[0]?.status).toBe("loading");
    await vi.waitFor(() => expect(seen.at(-1)?.value).toBe(2));
    seen.length = 0;
    await draw(<Page which={3} keep />);
    expect(seen[0]?.value).toBe(2);
    await vi.waitFor(() => expect(seen.at(-1)?.value).toBe(3));
  });

  it("commands of an empty page are set as code, an error is text", async () => {
    const empty = await draw(<Empty title="None">{"run `motifs embed`"}</Empty>);
    expect(texts(empty, "code")).toEqual(["motifs embed"]);
    const failed = await draw(<Failed error={new Error("<b>x</b>")} />);
    expect(failed.querySelector("b")).toBeNull();
    expect(failed.querySelector("[role=alert]")?.textContent).toContain("<b>x</b>");
  });
});

describe("controls", () => {
  it("give the chosen value", async () => {
    const onChange = vi.fn();
    const select = await draw(
      <Select label="Metric" value="a" options={[{ value: "a", title: "A" }, { value: "b", title: "B" }]} onChange={onChange} />,
    );
    await change(() => {
      const element = select.querySelector("select") as HTMLSelectElement;
      element.value = "b";
      element.dispatchEvent(new Event("change", { bubbles: true }));
    });
    expect(onChange).toHaveBeenLastCalledWith("b");
    const check = await draw(<Check label="on" value={false} onChange={onChange} />);
    await click(check, "input");
    expect(onChange).toHaveBeenLastCalledWith(true);
  });

  it("move a typed number into its bounds", async () => {
    const onChange = vi.fn();
    const view = await draw(<NumberField label="n" value={3} low={1} high={9} onChange={onChange} />);
    for (const [typed, given] of [["12", 9], ["-4", 1], ["2.6", 3]] as const) {
      await change(() => {
        const input = view.querySelector("input") as HTMLInputElement;
        input.value = typed;
        input.dispatchEvent(new Event("change", { bubbles: true }));
      });
      expect(onChange).toHaveBeenLastCalledWith(given);
    }
  });

  it("choose several, and all again", async () => {
    const onChange = vi.fn();
    const options = ["x", "y"].map((value) => ({ value, title: value, count: 2 }));
    const view = await draw(<Many label="Models" values={["x"]} options={options} onChange={onChange} />);
    expect(texts(view, ".many-value")).toEqual(["x"]);
    await click(view, ".many-list label:last-of-type input");
    expect(onChange).toHaveBeenLastCalledWith(["x", "y"]);
    await click(view, ".many-list label input");
    expect(onChange).toHaveBeenLastCalledWith([]);
    await click(view, ".many-head button");
    expect(onChange).toHaveBeenLastCalledWith([]);
  });
});

describe("tables", () => {
  const columns: TableColumn<{ name: string; n: number | null }>[] = [
    { name: "name", title: "Name", value: (row) => row.name },
    { name: "n", title: "Heads", numeric: true, value: (row) => row.n },
  ];
  const rows = [{ name: "b", n: 1 }, { name: "a", n: null }, { name: "c", n: 3 }];

  it("sort by a heading and say so", async () => {
    const onSort = vi.fn();
    const view = await draw(
      <Table rows={rows} columns={columns} rowKey={(row) => row.name} label="t" sort="-n" onSort={onSort} />,
    );
    expect(texts(view, "tbody td:first-child")).toEqual(["c", "b", "a"]);
    expect(texts(view, "tbody td:last-child")).toEqual(["3", "1", "–"]);
    expect([...view.querySelectorAll("th")].map((th) => th.getAttribute("aria-sort"))).toEqual(["none", "descending"]);
    await click(view, "th button");
    expect(onSort).toHaveBeenCalledWith("name");
  });

  it("show some rows, then more", async () => {
    const many = Array.from({ length: 5 }, (_, i) => ({ name: `r${i}`, n: i }));
    const view = await draw(
      <Table rows={many} columns={columns} rowKey={(row) => row.name} label="t" sort="" onSort={() => undefined} most={2} />,
    );
    expect(view.querySelectorAll("tbody tr")).toHaveLength(2);
    await click(view, ".table > button");
    expect(view.querySelectorAll("tbody tr")).toHaveLength(4);
  });
});

describe("charts", () => {
  it("a histogram has a bar per bin, which says its range and count", async () => {
    const view = await draw(<Histogram counts={[2, 0, 6]} low={0} high={3} title="x" label="Histogram of x" marks={[{ value: 1, title: "mean" }]} />);
    const bars = [...view.querySelectorAll("rect.chart-bar")];
    expect(bars.map((bar) => bar.textContent)).toEqual(["0 to 1: 2 of 8", "1 to 2: 0 of 8", "2 to 3: 6 of 8"]);
    const tall = bars.map((bar) => Number(bar.getAttribute("height")));
    expect((tall[0] as number) * 3).toBeCloseTo(tall[2] as number);
    expect(view.querySelector("svg")?.getAttribute("aria-label")).toBe("Histogram of x: 8 values");
  });

  it("bars are as long as their values", async () => {
    const view = await draw(<Bars label="b" bars={[{ title: "one", value: 1 }, { title: "four", value: 4 }]} />);
    const wide = [...view.querySelectorAll<HTMLElement>(".chart-bars-track span")].map((bar) => bar.style.width);
    expect(wide).toEqual(["25%", "100%"]);
  });

  it("an interval draws what it is given, in its place", async () => {
    const view = await draw(<Interval value={5} interval={[4, 6]} band={[0, 2]} middle={1} strong domain={[0, 10]} line={0} width={110} label="l" />);
    expect(view.querySelector("circle")?.getAttribute("cx")).toBe("55");
    expect(view.querySelector(".chart-value-strong")).not.toBeNull();
    expect(view.querySelectorAll(".chart-band, .chart-whisker, .chart-middle, .chart-line")).toHaveLength(4);
    expect((await draw(<Interval value={null} strong={false} domain={[0, 1]} label="l" />)).querySelector("circle")).toBeNull();
  });

  it("groups have a line at their middle; the keyboard goes from dot to dot", async () => {
    const groups = [{ name: "a <b>class</b>", note: "3", dots: [1, 2, 9].map((value) => ({ value, title: `head ${value}` })) }];
    const view = await draw(<Strip label="effects" groups={groups} axis={{ title: "effect", domain: [0, 10], exact: true }} />);
    expect(view.textContent).toContain("a <b>class</b>");
    const line = view.querySelector(".chart-median") as Element;
    expect(Number(line.getAttribute("x1"))).toBeCloseTo(216 + 0.2 * (580 - 216));
    await press(view, ".chart-field", "ArrowRight");
    expect(view.querySelector(".chart-tip title")?.textContent).toBe("head 1");
    await press(view, ".chart-field", "End");
    expect(view.querySelector(".chart-tip title")?.textContent).toBe("head 9");
  });
});

describe("grids and trees of heads", () => {
  it("a grid has a cell per head with its name, and picks by the keyboard", async () => {
    const onPick = vi.fn();
    const view = await draw(
      <LayerHeadGrid
        model="m"
        nLayers={2}
        nHeads={3}
        colour={(layer) => (layer === 1 ? "#ff0000" : undefined)}
        selected={(layer, index) => layer === 0 && index === 2}
        describe={() => "a class"}
        onPick={onPick}
      />,
    );
    const cells = [...view.querySelectorAll("path")].map((path) => [
      path.getAttribute("fill"), path.dataset["selected"], path.dataset["heads"],
    ]);
    expect(cells).toEqual([[null, "false", "2"], ["#ff0000", "false", "3"], [null, "true", "1"]]);
    const grid = view.querySelector("svg") as SVGSVGElement;
    // Cells are 14 pixels wide, after 30 for the labels of layers and 16 for those of heads.
    grid.dispatchEvent(new MouseEvent("mousemove", { clientX: 30 + 14 + 7, clientY: 16 + 14 + 7, bubbles: true }));
    await Promise.resolve();
    expect(texts(view, "title")).toEqual(["m:L1:H1, a class"]);
    for (const key of ["ArrowDown", "ArrowRight", " "]) await press(view, "svg", key);
    expect(onPick).toHaveBeenCalledWith(1, 1, false);
  });

  it("a grid of a hybrid has cells and keys for the layers with heads alone", async () => {
    const onPick = vi.fn();
    const view = await draw(<LayerHeadGrid model="m" nLayers={6} nHeads={1} layers={[1, 4]} onPick={onPick} />);
    expect(view.querySelector("path")?.dataset["heads"]).toBe("2");
    for (const key of ["ArrowDown", "ArrowDown", " "]) await press(view, "svg", key);
    expect(onPick).toHaveBeenCalledWith(4, 0, false);
  });

  it("a tree names the branch that the keyboard reaches, and picks it", async () => {
    const onPick = vi.fn();
    const view = await draw(
      <Dendrogram
        linkage={Float32Array.of(0, 1, 1, 2, 2, 3, 2, 3)}
        cutHeight={1.5}
        labels={Int32Array.of(0, 0, 1)}
        colour={() => "#00ff00"}
        selected={new Set([0, 1])}
        leafName={(leaf) => `head ${leaf}`}
        onPick={onPick}
        width={300}
        height={150}
        label="Tree of 3 heads"
      />,
    );
    await press(view, "svg", "ArrowRight");
    expect(view.textContent).toContain("2 heads, merged at 1");
    await press(view, "svg", "Enter");
    expect(onPick).toHaveBeenCalledWith(3);
    expect(view.querySelectorAll("[data-selected=true]")).toHaveLength(3);
  });
});

describe("legends", () => {
  it("show names and counts, and switch entries by click and key", async () => {
    const onToggle = vi.fn();
    const view = await draw(
      <Legend label="Groups" entries={[{ key: "a", title: "<i>A</i>", colour: "#111111", count: 7 }]} hidden={["a"]} onToggle={onToggle} />,
    );
    expect(view.querySelector("li")?.textContent).toBe("<i>A</i>7");
    expect(view.querySelector("[role=button]")?.getAttribute("aria-pressed")).toBe("false");
    await click(view, "[role=button]");
    await press(view, "[role=button]", "Enter");
    expect(onToggle.mock.calls).toEqual([["a"], ["a"]]);
  });

  it("of points hide points without a category too", async () => {
    const onFilter = vi.fn();
    const colouring = {
      kind: "categories" as const,
      title: "class",
      codes: [0, 255],
      labels: ["induction"],
      colours: ["#d55e00"],
      none: "no known class",
    };
    const view = await draw(
      <PointLegend colouring={colouring} counts={[1, 1]} filter={{ hidden: [], low: null, high: null }} onFilter={onFilter} onCycle={() => undefined} />,
    );
    expect(texts(view, ".points-legend-label")).toEqual(["induction", "no known class"]);
    await click(view, ".points-legend-entry:last-of-type input");
    expect(onFilter).toHaveBeenLastCalledWith({ hidden: [""], low: null, high: null });
  });

  it("a colour bar names its ends", async () => {
    const view = await draw(<ColourBar map="viridis" low={0.12345} high={20} title="distance" />);
    expect(view.textContent).toBe("distance0.12320");
  });
});

describe("search for heads", () => {
  const heads = { n: 9, column: () => ({ values: Float32Array.of(0, 0.5, 0, 0, 0.9, 0, 0, 0, 0) }), label: () => null } as unknown as Heads;
  const atlas = { ...manifest, scores: [{ name: "induction", meaning: "", threshold: 0.3 }] } as unknown as Manifest;
  const type = (view: HTMLElement, text: string) =>
    change(() => {
      const input = view.querySelector("input") as HTMLInputElement;
      input.value = text;
      input.dispatchEvent(new Event("input", { bubbles: true }));
    });

  it("offers names, classes and behaviours; Enter picks", async () => {
    const onPick = vi.fn();
    const view = await draw(<HeadSearch manifest={atlas} data={{ classes: [induction], heads }} label="Search" onPick={onPick} />);
    await type(view, "1.2");
    expect(texts(view, "[role=option] span:first-child")).toEqual(["small:L1:H2"]);
    await type(view, "induction");
    expect(texts(view, "[role=option] span:first-child").slice(0, 2)).toEqual(["small:L1:H1", "small:L0:H1"]);
    await press(view, "input", "ArrowDown");
    await press(view, "input", "Enter");
    expect(onPick).toHaveBeenCalledWith("small:L0:H1");
  });

  it("says so where nothing matches", async () => {
    const view = await draw(<HeadSearch manifest={atlas} data={null} label="Search" onPick={() => undefined} />);
    await type(view, "nothing of the kind");
    expect(view.querySelector("[role=status]")?.textContent).toContain("model:L5:H3");
  });
});

describe("patterns and their texts", () => {
  it("tokens are text, one by one; the keyboard chooses key and query", async () => {
    const [onKey, onQuery] = [vi.fn(), vi.fn()];
    const view = await draw(
      <TokenText
        tokens={["", "<b>", "\u202eevil", "a\n"]}
        shades={[0, 0.5, 1, 0]}
        query={3}
        keyToken={1}
        bos={false}
        follow={null}
        onHover={() => undefined}
        onKeyToken={onKey}
        onQueryToken={onQuery}
      />,
    );
    expect([...view.querySelectorAll("bdi")].map((token) => token.textContent)).toEqual(["∅", "<b>", "\u202eevil", "a↵\n"]);
    expect(view.querySelector("[data-key]")?.textContent).toBe("<b>");
    expect(view.querySelector("[data-query]")?.textContent).toBe("a↵\n");
    await press(view, ".token-text", "ArrowRight");
    expect(onKey).toHaveBeenCalledWith(2);
    expect(tokenLabel(" a\tb\n")).toBe("␣a⇥b↵");
  });

  it("the enlarged part of a pattern stays within it and marks the cell", async () => {
    const n = 30;
    const triangle = new Uint8Array((n * (n + 1)) / 2).fill(100);
    const view = await draw(<PatternLens pattern={{ head: 0, prompt: 0, n, triangle }} at={{ query: 29, key: 29 }} token={(i) => `t${i}`} reach={2} />);
    expect(texts(view, "text.query")).toEqual(["t25", "t26", "t27", "t28", "t29"]);
    expect(view.querySelectorAll("rect")).toHaveLength(15);
    expect(view.querySelectorAll("rect.here")).toHaveLength(1);
  });

  it("a prompt is one line; its card holds the text and the source", async () => {
    const text = `<script>\n${"word ".repeat(200)}`;
    expect(promptLine(text, 12)).toBe("<script> wor…");
    const prompt = { id: "0123456789abcdef", source: "made up", text, cut: false, n_tokens: [], viewable: true, group: "prompts" as const, labels: {} };
    const view = await draw(<PromptLabel prompt={prompt} length={12} />);
    expect(view.querySelector("[role=tooltip]")).toBeNull();
    await change(() => {
      view.querySelector(".prompt-label")?.dispatchEvent(new Event("focus"));
    });
    expect(view.querySelector("[role=tooltip]")?.textContent).toContain("made up · 0123456789abcdef");
    expect(view.querySelector("script")).toBeNull();
  });
});
