export const LAYERS: readonly string[];
export function importsOf(text: string): string[];
export function problem(importer: string, imported: string): string | null;
