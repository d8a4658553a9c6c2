// Links of the paper's own site, turned into ours.

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

/** `gpt2-small~L5~H5` and `gpt2-small.L5.H5` as `gpt2-small:L5:H5`; anything else unchanged. */
function colons(text: string): string {
  return text.replace(/^(.+?)[:~.]L(\d+)[:~.]?H(\d+)$/, "$1:L$2:H$3");
}

/** Our query string for one of the paper's site; null if it is not one of its links. */
export function translateLegacy(search: string): string | null {
  const old = new URLSearchParams(search);
  if (!old.has("head_viewing")) return null;
  const settings: Setting[] = [
    ["page", "head"],
    ["head", colons(old.get("head_viewing") ?? "")],
  ];
  for (const [name, renamed] of Object.entries(RENAMED)) {
    const text = old.get(name);
    if (text !== null) settings.push([renamed, text.replaceAll("~", ",")]);
  }
  const known = settings.filter((one): one is [string, string] => one[1] !== null);
  return queryString(known);
}
