// Heads that match a text: by name, then by class, then by behaviour score.

import type { Manifest } from "../../contract/generated";
import { labelText } from "../../data/explanations";
import { headName, headRow, rowAt } from "../../data/heads";
import type { SearchData, SearchPlace, Suggestion } from "./api";

/** Return up to `most` different heads that match a text, best first. */
export function suggest(
  manifest: Manifest,
  data: SearchData | null,
  text: string,
  most = 12,
): Suggestion[] {
  const query = text.trim().toLowerCase();
  if (query === "") return [];
  const matches = new Map<number, Suggestion>();
  const add = (row: number, reason: string) => {
    if (matches.size < most && !matches.has(row)) {
      const label = reason === "" && data?.labels ? labelText(manifest, data.labels, row) : "";
      matches.set(row, { row, head: headName(manifest, row), reason, label });
    }
  };
  const exact = headRow(manifest, text);
  if (exact !== null) add(exact, "");
  for (const row of byName(manifest, query, most)) add(row, "");
  if (data) {
    for (const [row, reason] of byMeaning(manifest, data, query, most)) add(row, reason);
  }
  return [...matches.values()];
}

/** Return up to `most` places whose title and note hold all words; titles that begin with the text first. */
export function suggestPlaces(places: readonly SearchPlace[], text: string, most = 8): SearchPlace[] {
  const query = text.trim().toLowerCase();
  if (query === "") return [];
  const words = query.split(/\s+/);
  const matches = places.filter(({ title, note }) => {
    const whole = `${title} ${note}`.toLowerCase();
    return words.every((word) => whole.includes(word));
  });
  const isFirst = ({ title }: SearchPlace) => Number(title.toLowerCase().startsWith(query));
  return matches.sort((a, b) => isFirst(b) - isFirst(a)).slice(0, most);
}

/** Return the heads whose names contain all words; `5.3` and `L5H3` mean layer 5, head 3. */
function byName(manifest: Manifest, query: string, most: number): number[] {
  const words = query.split(/\s+/);
  const matches: number[] = [];
  for (const model of manifest.models) {
    const name = model.name.toLowerCase();
    for (const layer of model.layers) {
      for (let index = 0; index < model.n_heads; index++) {
        const place = `l${layer}:h${index}`;
        const spelt = `${name}:${place} l${layer}h${index} l${layer}.h${index} ${layer}.${index}`;
        if (words.every((word) => spelt.includes(word) && !isLoose(word, layer, index))) {
          matches.push(rowAt(model, layer, index));
          if (matches.length >= most) return matches;
        }
      }
    }
  }
  return matches;
}

/** Return whether a word names another layer and head: `5.3` is part of `15.3`. */
function isLoose(word: string, layer: number, index: number): boolean {
  const place = /^l?(\d+)[.:]?h?(?<=[.h])(\d+)$/.exec(word);
  return place !== null && (Number(place[1]) !== layer || Number(place[2]) !== index);
}

function* byMeaning(
  manifest: Manifest,
  data: SearchData,
  query: string,
  most: number,
): Generator<[number, string]> {
  const means = (text: string) => query.split(/\s+/).every((word) => text.includes(word));
  for (const headClass of data.classes) {
    if (!means(`${headClass.name} ${headClass.group}`.toLowerCase())) continue;
    for (const row of headClass.rows) yield [row, headClass.name];
  }
  for (const score of manifest.scores) {
    if (!means(`${score.name} score`.toLowerCase())) continue;
    const values = data.heads.column(score.name)?.values;
    if (!values) continue;
    const order = Array.from(values.keys()).filter((row) => Number.isFinite(values[row]));
    order.sort((a, b) => (values[b] as number) - (values[a] as number));
    for (const row of order.slice(0, most)) {
      yield [row, `${score.name} score ${(values[row] as number).toFixed(2)}`];
    }
  }
}
