export const LAYERS: readonly string[];
export function importsOf(text: string): string[];
export function problem(importer: string, imported: string): string | null;
export function circles(graph: ReadonlyMap<string, readonly string[]>): string[][];
