/** The paper whose method this is. */
export const PAPER = `@misc{ivanitskiy2025motifs,
  title  = {Motifs in Attention Patterns of Large Language Models},
  author = {Ivanitskiy, Michael Igorevich and {Diniz Behn}, Cecilia and {Wu Fung}, Samy},
  year   = {2025}
}`;

/** This software, at the version that made the atlas. */
export function softwareBibtex(version: string): string {
  // Braces and backslashes would end or change the entry.
  const plain = version.replace(/[^0-9A-Za-z.+-]/g, "");
  return `@software{attention-motifs,
  title   = {attention-motifs: find which attention heads, in which language models, do something like this one},
  author  = {{The attention-motifs developers}},
  year    = {2026},
  version = {${plain}}
}`;
}
