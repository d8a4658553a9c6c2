// What fixes something, as the manifest words it: "run `motifs evaluate`, then `motifs site` again".

import type { FixProps } from "./api";

/** A sentence with its commands set as code. */
export function Fix({ text }: FixProps) {
  return (
    <>
      {fixParts(text).map((part, place) => (place % 2 === 1 ? <code key={place}>{part}</code> : part))}
    </>
  );
}

/** Split a text into words and commands in turn, with a capital letter first and a full stop last. */
export function fixParts(text: string): string[] {
  const parts = text.trim().split("`");
  // A single backtick is a character like any other.
  const whole = parts.length % 2 === 1 ? parts : [text.trim()];
  const first = whole[0] ?? "";
  whole[0] = first.charAt(0).toUpperCase() + first.slice(1);
  const last = whole[whole.length - 1] ?? "";
  if (!/[.!?]$/.test(last)) whole[whole.length - 1] = `${last}.`;
  return whole;
}
