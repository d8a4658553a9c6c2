import type { CitationProps } from "./api";

/** Addresses come from data files: only https and http are followed, never `javascript:`. */
export function webAddress(url: string): string | null {
  try {
    const parsed = new URL(url);
    return parsed.protocol === "https:" || parsed.protocol === "http:" ? parsed.href : null;
  } catch {
    return null;
  }
}

/** A link that opens beside the site. */
export function Citation({ title, url }: CitationProps) {
  const href = webAddress(url);
  if (href === null) return <>{title}</>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer">
      {title}
    </a>
  );
}
