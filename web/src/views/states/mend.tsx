// What mends something, as the manifest words it: "run `motifs evaluate`, then `motifs site` again".

import type { MendProps } from "./api";

/** A sentence with its commands set as code. */
export function Mend({ text }: MendProps) {
  return (
    <>
      {mendParts(text).map((part, place) => (place % 2 === 1 ? <code key={place}>{part}</code> : part))}
    </>
  );
}

/** Words and commands by turns, as a sentence: a capital letter in front, a full stop behind. */
export function mendParts(text: string): string[] {
  const parts = text.trim().split("`");
  // A backtick without its fellow is a character like any other.
  const whole = parts.length % 2 === 1 ? parts : [text.trim()];
  const first = whole[0] ?? "";
  whole[0] = first.charAt(0).toUpperCase() + first.slice(1);
  const last = whole[whole.length - 1] ?? "";
  if (!/[.!?]$/.test(last)) whole[whole.length - 1] = `${last}.`;
  return whole;
}
