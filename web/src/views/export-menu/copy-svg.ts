// Copies of SVG elements with their style as attributes.

import { svgElement } from "./svg-element";
import { xmlSafe } from "./text";

/** Properties that style sheets set on SVG elements. */
const PROPERTIES = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-width",
  "stroke-opacity",
  "stroke-dasharray",
  "stroke-linecap",
  "stroke-linejoin",
  "paint-order",
  "opacity",
  "font-family",
  "font-size",
  "font-weight",
  "text-anchor",
  "dominant-baseline",
] as const;

/** Copy an SVG element to a position in the picture. */
export function copySvg(svg: SVGSVGElement, x: number, y: number, box: DOMRect): SVGElement {
  const { width, height } = box;
  const copy = svgElement("svg", { x, y, width, height });
  copy.setAttribute("viewBox", svg.getAttribute("viewBox") ?? `0 0 ${width} ${height}`);
  const fit = svg.getAttribute("preserveAspectRatio");
  if (fit) copy.setAttribute("preserveAspectRatio", fit);
  for (const child of svg.children) copyInto(copy, child);
  return copy;
}

function copyInto(into: Element, element: Element): void {
  const style = getComputedStyle(element);
  if (style.display === "none" || style.visibility === "hidden") return;
  if (element.matches("[data-export=no], title, script, style")) return;
  const copy = element.cloneNode(false) as Element;
  for (const name of [...copy.getAttributeNames()]) {
    if (/^(class|style|tabindex|role|aria-.*|data-.*|on.*)$/.test(name)) copy.removeAttribute(name);
  }
  for (const property of PROPERTIES) {
    const value = style.getPropertyValue(property);
    if (value !== "" && value !== "none 0px") copy.setAttribute(property, value);
  }
  into.append(copy);
  for (const child of element.childNodes) {
    if (child instanceof Element) copyInto(copy, child);
    else if (child instanceof Text) copy.append(xmlSafe(child.data));
  }
}
