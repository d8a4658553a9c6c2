// One cursor over all patterns: a query and a key of one head on one prompt, in the tokens of every model.

import type { Manifest, Prompt, Tokens } from "../../contract/generated";
import { align } from "../../data/alignment";
import { modelOfRow } from "../../data/heads";
import { isProbe } from "../../data/prompts";
import { json } from "../../data/source";
import type { Cell } from "../../views/pattern-matrix/api";

/** What the cursor is on. */
export interface Spot {
  row: number;
  prompt: number;
  cell: Cell;
}

/** Tokens of the viewable prompts, by model name. */
export type TokenTable = ReadonlyMap<string, Tokens>;

/** Load the tokens of the models of some heads. */
export async function loadTokenTable(manifest: Manifest, rows: readonly number[]): Promise<TokenTable> {
  const models = [...new Set(rows.map((row) => modelOfRow(manifest, row)))];
  const tokens = await Promise.all(models.map((model) => json<Tokens>(model.tokens)));
  return new Map(models.map((model, i) => [model.name, tokens[i] as Tokens]));
}

/** Return the tokens of a prompt; null if they are not loaded or not in the site. */
export function tokensOf(table: TokenTable, model: string, prompt: number): readonly string[] | null {
  const tokens = table.get(model);
  return tokens?.tokens[tokens.prompts.indexOf(prompt)] ?? null;
}

/** Return a function that gives the cell of the cursor in the pattern of another head; null if it has none. */
export function translator(
  manifest: Manifest,
  prompts: readonly Prompt[],
  table: TokenTable,
): (spot: Spot, row: number, prompt: number) => Cell | null {
  const known = new Map<string, Int32Array | null>();
  const between = (from: string, to: string, prompt: number) => {
    const key = `${prompt} ${from} ${to}`;
    if (!known.has(key)) {
      const texts = [from, to].map((name) => {
        const tokens = tokensOf(table, name, prompt);
        return tokens && { tokens, bos: manifest.models.find((model) => model.name === name)?.bos ?? false };
      });
      const [a, b] = texts;
      // Probes are sequences of token ids: their tokens correspond by place.
      const isIds = prompts[prompt] !== undefined && isProbe(prompts[prompt]);
      known.set(key, a && b ? align(a, b, isIds) : null);
    }
    return known.get(key) ?? null;
  };
  return (spot, row, prompt) => {
    if (prompt !== spot.prompt) return null;
    const [from, to] = [modelOfRow(manifest, spot.row).name, modelOfRow(manifest, row).name];
    if (from === to) return spot.cell;
    const aligned = between(from, to, prompt);
    const [query, key] = [aligned?.[spot.cell.query] ?? -1, aligned?.[spot.cell.key] ?? -1];
    return query >= 0 && key >= 0 ? { query, key: Math.min(key, query) } : null;
  };
}
