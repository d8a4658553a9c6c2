import type { CitationProps } from "./api";

/** Return an http or https address, else null: addresses come from data files. */
export function webAddress(url: string): string | null {
  try {
    const parsed = new URL(url);
    return parsed.protocol === "https:" || parsed.protocol === "http:" ? parsed.href : null;
  } catch {
    return null;
  }
}

/** A link that opens in a new tab. */
export function Citation({ title, url }: CitationProps) {
  const href = webAddress(url);
  if (href === null) return <>{title}</>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer">
      {title}
    </a>
  );
}
