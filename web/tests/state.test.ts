import { beforeAll, describe, expect, it, vi } from "vitest";

/** As much of a window as the state of the address needs. */
const history: string[] = [];
const tops: number[] = [];
const location = { search: "?page=head&n=5&keep=1" };
vi.stubGlobal("cancelAnimationFrame", () => undefined);
vi.stubGlobal("window", {
  location,
  addEventListener: () => undefined,
  clearTimeout: () => undefined,
  scrollTo: (_: number, top: number) => tops.push(top),
  scrollY: 40,
  history: {
    pushState: (_: unknown, __: string, search: string) => {
      history.push(`push ${search}`);
      location.search = search === "?" ? "" : search;
    },
    replaceState: (_: unknown, __: string, search?: string) => {
      if (search === undefined) return;
      history.push(`replace ${search}`);
      location.search = search === "?" ? "" : search;
    },
  },
});

type Url = typeof import("../src/state/url");
type Codecs = typeof import("../src/state/codecs");
let url: Url;
let codecs: Codecs;

beforeAll(async () => {
  url = await import("../src/state/url");
  codecs = await import("../src/state/codecs");
});

describe("the address", () => {
  it("holds parameters, and leaves out what is the default", () => {
    const n = url.param("n", codecs.integer(0, 9), 3);
    expect(n.value).toBe(5);
    n.set(7);
    expect(history.at(-1)).toBe("push ?page=head&n=7&keep=1");
    expect(n.value).toBe(7);
    n.replace(3);
    expect(history.at(-1)).toBe("replace ?page=head&keep=1");
    expect(n.value).toBe(3);
    const steps = history.length;
    n.set(3);
    expect(history.length).toBe(steps);
  });

  it("starts another page or head at its top, and leaves the window where it is otherwise", () => {
    url.go("?page=head&head=a:L0:H0");
    tops.length = 0;
    url.go("?page=head&head=a:L0:H0&near=7");
    url.go("?page=head&head=a:L0:H1&near=7", "replace");
    expect(tops).toEqual([]);
    url.go("?page=head&head=a:L0:H2");
    url.go("?page=ablation&head=a:L0:H2");
    expect(tops).toEqual([0, 0]);
    // There the head is the anchor of a chart in the middle of the page.
    url.go("?page=ablation&head=a:L0:H3");
    expect(tops).toEqual([0, 0]);
    url.go("?page=head&keep=1");
  });

  it("knows the place of a step of the history", async () => {
    const { placeOf } = await import("../src/state/scroll");
    expect(placeOf({ scroll: 120 })).toBe(120);
    for (const state of [null, 3, {}, { scroll: "7" }, { scroll: Number.NaN }]) expect(placeOf(state)).toBe(0);
  });

  it("keeps what cannot be read at the default", () => {
    location.search = "?page=head&keep=1";
    url.go("?page=head&n=many");
    expect(url.param("n", codecs.integer(0, 9), 3).value).toBe(3);
  });

  it("makes links that read well and carry hostile names unharmed", () => {
    const head = url.param("head", codecs.text, "");
    expect(url.link("head", head.to("org/m:L5:H3"))).toBe("?page=head&head=org/m:L5:H3");
    expect(url.link("head", head.to("half \ud800 a pair"))).toContain("half");
    const hostile = `"><script>&x=1#?%\u202e`;
    const search = url.link("head", head.to(hostile));
    expect(new URLSearchParams(search).get("head")).toBe(hostile);
    expect(search).not.toContain("<");
  });

  it("links to other pages carry what travels, and nothing else", async () => {
    const { head, models, metric } = await import("../src/state/params");
    const state = "head=a:L0:H1&models=a&layers=2-5&prompts=1f2e&n_prompts=3&metric=cosine&seed=7&colour=layer&scale=log&map=magma&sink=hidden&theme=dark";
    url.go(`?page=distances&${state}&frame=1,2,3&classes=induction`);
    const carried = new URLSearchParams(url.link("heads-3d"));
    expect(Object.fromEntries(carried)).toEqual(Object.fromEntries(new URLSearchParams(`page=heads-3d&${state}`)));
    expect(url.link("head", head.to("b:L1:H1"))).toContain("head=b:L1:H1");
    const reset = new URLSearchParams(url.link("heads-3d", models.to([]), metric.to("mean")));
    expect([reset.get("models"), reset.get("metric"), reset.get("layers")]).toEqual([null, "mean", "2-5"]);
    url.go("?page=head&keep=1");
  });

  it("writes heads of one model short, and reads them back", () => {
    const names = ["a:L0:H1", "a:L2:H3", "org/b,c:L1:H1", "org/b,c:L1:H2", "a:L0:H1"];
    const text = codecs.headList.write(names);
    expect(text).toBe("a:L0:H1,L2:H3,org/b%2Cc:L1:H1,L1:H2,a:L0:H1");
    expect(codecs.headList.read(text)).toEqual(names);
    expect(codecs.headList.read("L1:H1,nothing,a:L0:H0")).toEqual(["a:L0:H0"]);
  });

  it("understands links of the paper's site", async () => {
    const { translateLegacy } = await import("../src/state/legacy");
    expect(translateLegacy("?page=head&head=a:L0:H0")).toBeNull();
    const translated = translateLegacy("?head_viewing=gpt2-small~L5~H5&n_prompts=4&table.n_nearby=7&table.n_share_class=2&unknown=1");
    expect(translated).toBe("?page=head&head=gpt2-small:L5:H5&n_prompts=4&near=7&same=2");
  });

  it("understands the paper's grid, single pattern and class", async () => {
    const { translateLegacy } = await import("../src/state/legacy");
    const read = (search: string) => new URLSearchParams(translateLegacy(search) ?? "");
    const grid = read("?models=a~b&prompts=11~22&heads-a=L0H1~L2H3&heads-b=L4H5");
    expect(Object.fromEntries(grid)).toEqual({ page: "compare", heads: "a:L0:H1,L2:H3,b:L4:H5", prompts: "11,22" });
    expect(Object.fromEntries(read("?prompt=1f&head=a.L5.H6"))).toEqual({ page: "pattern", head: "a:L5:H6", prompt: "1f" });
    const classed = read("?classification_mode=true&current_classification=name%20mover&head_viewing=a~L0~H0");
    expect(Object.fromEntries(classed)).toEqual({ page: "classes", classes: "name mover" });
    expect(translateLegacy("?theme=dark")).toBeNull();
  });
});

describe("tables and exports", () => {
  it("sort numbers and texts, missing ones last either way", async () => {
    const { arrange, nextSort } = await import("../src/views/table/order");
    const columns = [
      { name: "n", title: "n", numeric: true, value: (row: [string, number | null]) => row[1] },
      { name: "t", title: "t", value: (row: [string, number | null]) => row[0] },
    ];
    const rows: [string, number | null][] = [["L10", 2], ["L2", null], ["x", 1]];
    expect(arrange(rows, columns, "n", "").map((row) => row[0])).toEqual(["x", "L10", "L2"]);
    expect(arrange(rows, columns, "-n", "").map((row) => row[0])).toEqual(["L10", "x", "L2"]);
    expect(arrange(rows, columns, "t", "l").map((row) => row[0])).toEqual(["L2", "L10"]);
    expect(nextSort("", columns[0] as (typeof columns)[0])).toBe("-n");
  });

  it("CSV quotes, and disarms formulas", async () => {
    const { csv } = await import("../src/views/export-menu/csv");
    expect(csv(["a", "b"], [['=1+1', 'x"y'], [Number.NaN, -2]])).toBe(`a,b\r\n'=1+1,"x""y"\r\n,-2\r\n`);
  });

  it("only web addresses become links, names become plain files", async () => {
    const { webAddress } = await import("../src/views/citation/view");
    expect(webAddress("javascript:alert(1)")).toBeNull();
    expect(webAddress("data:text/html,x")).toBeNull();
    expect(webAddress("https://arxiv.org/abs/1")).toBe("https://arxiv.org/abs/1");
    const { fileName } = await import("../src/views/export-menu/save");
    expect(fileName("../../org/m:L5:H3", "png")).toBe("org-m-L5-H3.png");
    expect(fileName("\u202e", "svg")).toBe("view.svg");
  });
});
