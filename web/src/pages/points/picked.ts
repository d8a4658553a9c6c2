// A selection as text for a link: the gaps between the selected points, as bytes in base 64.

/** Longest text: some servers refuse longer addresses. */
export const MOST = 6000;

/** Write selected points as text; null if it is too long for a link. */
export function writePicked(mask: Uint8Array | null): string | null {
  if (!mask) return "";
  let bytes = "";
  let last = -1;
  for (let point = 0; point < mask.length; point++) {
    if (mask[point] === 0) continue;
    let gap = point - last - 1;
    last = point;
    // Seven bits per byte; the highest bit means that more follow.
    for (; gap >= 128; gap = Math.floor(gap / 128)) bytes += String.fromCharCode(128 | (gap % 128));
    bytes += String.fromCharCode(gap);
    if (bytes.length > MOST) return null;
  }
  const text = btoa(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  return text.length > MOST ? null : text;
}

/** Read the text of `writePicked`; null for no points. Points beyond the last are dropped. */
export function readPicked(text: string, n: number): Uint8Array | null {
  if (text === "" || !/^[\w-]+$/.test(text)) return null;
  let bytes: string;
  try {
    bytes = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  } catch {
    return null;
  }
  const mask = new Uint8Array(n);
  let at = -1;
  let gap = 0;
  let unit = 1;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes.charCodeAt(i);
    gap += (byte % 128) * unit;
    if (byte >= 128) {
      unit *= 128;
      continue;
    }
    at += gap + 1;
    if (at >= n) break;
    mask[at] = 1;
    gap = 0;
    unit = 1;
  }
  return mask.includes(1) ? mask : null;
}

/** Return the number of points in a mask. */
export function countOf(mask: Uint8Array): number {
  let count = 0;
  for (let point = 0; point < mask.length; point++) if (mask[point] !== 0) count += 1;
  return count;
}

/** Return the numbers of the points in a mask. */
export function pointsOf(mask: Uint8Array): Uint32Array {
  const points = new Uint32Array(countOf(mask));
  for (let point = 0, n = 0; point < mask.length; point++) if (mask[point] !== 0) points[n++] = point;
  return points;
}
