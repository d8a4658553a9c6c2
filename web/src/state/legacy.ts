// Links of the paper's site, translated to links of this site: its pages of a head, a class, a grid of
// patterns and a pattern. In its links, several values have `~` between them.

import { headList } from "./codecs";
import type { Setting } from "./url";
import { queryString } from "./url";

const RENAMED: Record<string, string> = {
  n_prompts: "n_prompts",
  "table.n_nearby": "near",
  "table.n_distant": "far",
  "table.n_random": "random",
  "table.n_share_class": "same",
  selected_prompts: "prompts",
};

/** `gpt2-small~L5~H5` and `gpt2-small.L5.H5` as `gpt2-small:L5:H5`; other text unchanged. */
function colons(text: string): string {
  return text.replace(/^(.+?)[:~.]L(\d+)[:~.]?H(\d+)$/, "$1:L$2:H$3");
}

/** Translate a query string of the paper's site; null if it is none of its links. */
export function translateLegacy(search: string): string | null {
  const old = new URLSearchParams(search);
  // Links of this site always have a page; those of the paper's site never do.
  if (old.has("page")) return null;
  const settings = ofHead(old) ?? ofClass(old) ?? ofGrid(old) ?? ofPattern(old);
  return settings && queryString(settings.filter((setting): setting is [string, string] => setting[1] !== null));
}

function ofHead(old: URLSearchParams): Setting[] | null {
  const head = old.get("head_viewing");
  // Its page of a class keeps the head of the previous page.
  if (head === null || old.get("classification_mode") === "true") return null;
  return [["page", "head"], ["head", colons(head)], ...renamed(old)];
}

function renamed(old: URLSearchParams): Setting[] {
  return Object.entries(RENAMED).map(([name, ours]) => [ours, commas(old.get(name))]);
}

function ofClass(old: URLSearchParams): Setting[] | null {
  const name = old.get("current_classification");
  return name === null || name === "" ? null : [["page", "classes"], ["classes", name]];
}

/** `models=a~b&prompts=...&heads-a=L0H1~L2H3`: the grid of patterns. */
function ofGrid(old: URLSearchParams): Setting[] | null {
  const names = [...old].flatMap(([name, text]) =>
    name.startsWith("heads-") ? text.split("~").map((item) => colons(`${name.slice(6)}:${item}`)) : [],
  );
  if (names.length === 0) return null;
  return [["page", "compare"], ["heads", headList.write(names)], ["prompts", commas(old.get("prompts"))]];
}

/** `prompt=...&head=a.L0.H1`: one pattern. */
function ofPattern(old: URLSearchParams): Setting[] | null {
  const [head, prompt] = [old.get("head"), old.get("prompt")];
  if (head === null || prompt === null) return null;
  return [["page", "pattern"], ["head", colons(head)], ["prompt", prompt]];
}

function commas(text: string | null): string | null {
  return text === null ? null : text.replaceAll("~", ",");
}
