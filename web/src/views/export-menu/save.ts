// Saving of files.

import { toSvg } from "./to-svg";

/** Longest side of a PNG in pixels: larger canvases stay blank in some browsers. */
const LONGEST = 16_000;

/** Return a file name that every system accepts. */
export function fileName(name: string, extension: string): string {
  const plain = name.replace(/[^A-Za-z0-9.]+/g, "-").replace(/^[-.]+|[-.]+$/g, "");
  return `${plain.slice(0, 120) || "view"}.${extension}`;
}

/** Let the browser save a file. */
export function saveBlob(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = name;
  anchor.click();
  // By then, the browser has started to read it.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Return an element as SVG text. */
export function svgText(target: Element): string {
  return new XMLSerializer().serializeToString(toSvg(target));
}

/** Return an element as PNG, with two pixels per CSS pixel if that is not too large. */
export async function pngBlob(target: Element): Promise<Blob> {
  const svg = toSvg(target);
  const width = Number(svg.getAttribute("width"));
  const height = Number(svg.getAttribute("height"));
  const text = new XMLSerializer().serializeToString(svg);
  const url = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const zoom = Math.min(2, LONGEST / Math.max(width, height, 1));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(width * zoom));
    canvas.height = Math.max(1, Math.round(height * zoom));
    canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) => {
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png");
    });
  } finally {
    URL.revokeObjectURL(url);
  }
}
