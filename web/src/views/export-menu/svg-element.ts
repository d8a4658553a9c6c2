// Elements of a saved picture.

export const SVG = "http://www.w3.org/2000/svg";

/** Return a new SVG element. Numbers are rounded to hundredths of a pixel. */
export function svgElement(name: string, attributes: Record<string, string | number>): SVGElement {
  const element = document.createElementNS(SVG, name) as SVGElement;
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, typeof value === "number" ? String(Math.round(value * 100) / 100) : value);
  }
  return element;
}
