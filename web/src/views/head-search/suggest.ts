// What matches a text: heads by name, behaviour and class; pages, classes, features, clusters, papers, prompts.

import type { Manifest, Score } from "../../contract/generated";
import { labelText } from "../../data/explanations";
import { headName, headRow, rowAt } from "../../data/heads";
import type { SearchData, SearchPlace, Suggestion } from "./api";

/** Return up to `most` different heads that match a text, best first: by name, by behaviour, by class. */
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
  const spelt = bySpelling(manifest, text);
  for (const row of spelt) add(row, "");
  if (spelt.length === 0) {
    for (const row of byName(manifest, query, most)) add(row, "");
    if (data) for (const [row, reason] of byMeaning(manifest, data, query, most)) add(row, reason);
  }
  return [...matches.values()];
}

/**
 * Return places whose words hold all words of the text, best first: the same title, a title that begins with
 * the text, a title with the text, other words. Equally good ones stay in their order.
 */
export function suggestPlaces(places: readonly SearchPlace[], text: string, most = 8): SearchPlace[] {
  const query = text.trim().toLowerCase();
  if (query === "") return [];
  const words = query.split(/\s+/);
  const matches = places.filter(({ title, note, text: more = "" }) => {
    const whole = `${title} ${note} ${more}`.toLowerCase();
    return words.every((word) => whole.includes(word));
  });
  return matches.sort((a, b) => closeness(b, query) - closeness(a, query)).slice(0, most);
}

/** Return how close a title is to a text: 3 is equal, 0 does not hold it. */
export function closeness({ title }: Pick<SearchPlace, "title">, text: string): number {
  const [name, query] = [title.toLowerCase(), text.trim().toLowerCase()];
  if (name === query) return 3;
  return name.startsWith(query) ? 2 : Number(name.includes(query));
}

/**
 * Arrange heads and places, best first. A page of just this name, or that begins so, comes before heads that
 * only behave so; a head that is spelt comes before all.
 */
export function ranked(
  heads: readonly Suggestion[],
  places: readonly SearchPlace[],
  text: string,
): (Suggestion | SearchPlace)[] {
  const isPage = (place: SearchPlace) => place.note === "page" && closeness(place, text) >= 2;
  const isNamed = heads.length > 0 && heads[0]?.reason === "";
  if (isNamed) return [...heads, ...places];
  return [...places.filter(isPage), ...heads, ...places.filter((place) => !isPage(place))];
}

/** `L18.H6`, `18.6`, `18:6`, `l18h6`, after a model or words of its name if there are any. */
const SPELLING = /^(?:(.*?)[\s:~.])?(?:l?(\d{1,5})\s*[.:~,]\s*h?|l(\d{1,5})\s*h)(\d{1,5})$/i;

/** Return the heads that a text spells; those of a model of just this name first. */
function bySpelling(manifest: Manifest, text: string): number[] {
  const exact = headRow(manifest, text);
  if (exact !== null) return [exact];
  const match = SPELLING.exec(text.trim());
  if (!match) return [];
  const [, model = "", layer = match[3], , index] = match;
  const words = model.toLowerCase().split(/\s+/).filter(Boolean);
  return manifest.models.flatMap((item) => {
    const isMeant = words.every((word) => item.name.toLowerCase().includes(word));
    const hasHead = item.layers.includes(Number(layer)) && Number(index) < item.n_heads;
    return isMeant && hasHead ? [rowAt(item, Number(layer), Number(index))] : [];
  });
}

/** Return the heads whose names contain all words. */
function byName(manifest: Manifest, query: string, most: number): number[] {
  const words = query.split(/\s+/);
  const matches: number[] = [];
  for (const model of manifest.models) {
    const name = model.name.toLowerCase();
    for (const layer of model.layers) {
      for (let index = 0; index < model.n_heads; index++) {
        const place = `l${layer}:h${index}`;
        const spelt = `${name}:${place} l${layer}h${index} l${layer}.h${index}`;
        if (words.every((word) => spelt.includes(word) && !isLoose(word, layer, index))) {
          matches.push(rowAt(model, layer, index));
          if (matches.length >= most) return matches;
        }
      }
    }
  }
  return matches;
}

/** Return whether a word names another layer, or another layer and head: `l5` is part of `l55`. */
function isLoose(word: string, layer: number, index: number): boolean {
  const place = /^l?(\d+)[.:]?h?(?<=[.h])(\d+)$/.exec(word);
  return place !== null && (Number(place[1]) !== layer || Number(place[2]) !== index);
}

/** Return heads by behaviour score, highest first, then the other heads of matching classes. */
function* byMeaning(
  manifest: Manifest,
  data: SearchData,
  query: string,
  most: number,
): Generator<[number, string]> {
  const means = (text: string) => query.split(/\s+/).every((word) => text.includes(word));
  const scores = manifest.scores
    .filter((score) => means(`${score.name} score`.toLowerCase()))
    // The behaviour of just this name first: "copying" before "copying (literal)".
    .sort((a, b) => closeness({ title: b.name }, query) - closeness({ title: a.name }, query));
  for (const score of scores) {
    for (const [row, value] of highest(data, score).slice(0, Math.ceil(most / scores.length))) {
      yield [row, `${score.name} score ${value.toFixed(2)}`];
    }
  }
  for (const headClass of data.classes) {
    if (!means(`${headClass.name} ${headClass.group}`.toLowerCase())) continue;
    for (const row of headClass.rows) yield [row, headClass.name];
  }
}

/** Return the heads with a score and its value, highest first. */
export function highest(data: Pick<SearchData, "heads">, score: Pick<Score, "name">): [number, number][] {
  const values = data.heads.column(score.name)?.values;
  if (!values) return [];
  const known: [number, number][] = [];
  for (let row = 0; row < values.length; row++) {
    const value = values[row] as number;
    if (Number.isFinite(value)) known.push([row, value]);
  }
  return known.sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}
