// An element of the page as SVG: boxes become rectangles, text stays text, canvases become images.
//
// One walk over the page works for every view, so that the picture shows what the screen shows. It
// creates nodes, never markup, since tokens and names may hold anything.

import { canvasData } from "./redraw";
import { copySvg } from "./copy-svg";
import { SVG, svgElement } from "./svg-element";
import { addText } from "./text";

const SKIPPED = ":not(th) > button, input, select, textarea, script, style, [data-export=no], .visually-hidden";

/** State of the walk. */
interface Walk {
  /** Position on the screen of the upper left corner of the picture. */
  left: number;
  top: number;
  clips: number;
}

/** Return the picture of an element, including what is scrolled out of view. */
export function toSvg(root: Element): SVGElement {
  const box = root.getBoundingClientRect();
  const width = Math.ceil(Math.max(box.width, root.scrollWidth));
  const height = Math.ceil(Math.max(box.height, root.scrollHeight));
  const svg = svgElement("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
  svg.setAttribute("xmlns", SVG);
  svg.append(svgElement("rect", { width, height, fill: backgroundOf(root) }));
  const walk = { left: box.left - root.scrollLeft, top: box.top - root.scrollTop, clips: 0 };
  add(svg, root, walk, true);
  return svg;
}

function backgroundOf(element: Element): string {
  for (let at: Element | null = element; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (visible(colour)) return colour;
  }
  return "#ffffff";
}

function visible(colour: string): boolean {
  return colour !== "transparent" && !/^rgba\(.*, 0\)$/.test(colour) && !/\/ 0\)$/.test(colour);
}

function add(into: SVGElement, element: Element, walk: Walk, isRoot = false): void {
  const style = getComputedStyle(element);
  if (style.display === "none" || style.visibility === "hidden" || style.opacity === "0") return;
  if (element.matches(SKIPPED)) return;
  const box = element.getBoundingClientRect();
  const x = box.left - walk.left;
  const y = box.top - walk.top;
  if (element instanceof HTMLCanvasElement) {
    addImage(into, canvasData(element), x, y, box, style);
    return;
  }
  if (element instanceof SVGSVGElement) {
    into.append(copySvg(element, x, y, box));
    return;
  }
  // An inline element that breaks has a box on each line.
  const focused = element.matches(":focus-visible");
  const boxes = style.display === "inline" ? [...element.getClientRects()] : [box];
  for (const part of boxes) {
    addBox(into, style, part.left - walk.left, part.top - walk.top, part);
    addOutline(into, style, part.left - walk.left, part.top - walk.top, part, focused);
  }
  const inside = isRoot ? into : clipped(into, style, x, y, box, walk);
  for (const child of element.childNodes) {
    if (child instanceof Text) addText(inside, child, style, walk.left, walk.top);
    else if (child instanceof Element) add(inside, child, walk);
  }
}

function addImage(
  into: SVGElement,
  href: string,
  x: number,
  y: number,
  box: DOMRect,
  style: CSSStyleDeclaration,
): void {
  if (href === "") return;
  const { width, height } = box;
  const image = svgElement("image", { x, y, width, height, preserveAspectRatio: "none", href });
  // Chromium and Firefox read the style, Inkscape the attribute.
  if (style.imageRendering === "pixelated") image.setAttribute("image-rendering", "pixelated");
  into.append(image);
}

function addBox(
  into: SVGElement,
  style: CSSStyleDeclaration,
  x: number,
  y: number,
  { width, height }: DOMRect,
): void {
  const rx = Number.parseFloat(style.borderTopLeftRadius) || 0;
  if (visible(style.backgroundColor)) {
    into.append(svgElement("rect", { x, y, width, height, rx, fill: style.backgroundColor }));
  }
  const sides = ["Top", "Right", "Bottom", "Left"] as const;
  const borders = sides.map((side) => ({
    width: style[`border${side}Style`] === "none" ? 0 : Number.parseFloat(style[`border${side}Width`]),
    colour: style[`border${side}Color`],
  }));
  const [top, right, bottom, left] = borders as [Border, Border, Border, Border];
  if (borders.every((border) => border.width === top.width && border.colour === top.colour)) {
    if (top.width === 0 || !visible(top.colour)) return;
    const half = top.width / 2;
    into.append(
      svgElement("rect", {
        x: x + half,
        y: y + half,
        width: Math.max(0, width - top.width),
        height: Math.max(0, height - top.width),
        rx: Math.max(0, rx - half),
        fill: "none",
        stroke: top.colour,
        "stroke-width": top.width,
      }),
    );
    return;
  }
  const fill = (border: Border, bx: number, by: number, bw: number, bh: number) => {
    if (border.width > 0 && visible(border.colour)) {
      into.append(svgElement("rect", { x: bx, y: by, width: bw, height: bh, fill: border.colour }));
    }
  };
  fill(top, x, y, width, top.width);
  fill(bottom, x, y + height - bottom.width, width, bottom.width);
  fill(left, x, y, left.width, height);
  fill(right, x + width - right.width, y, right.width, height);
}

/** Draw the outline: frames of patterns and marks of tokens are outlines. */
function addOutline(
  into: SVGElement,
  style: CSSStyleDeclaration,
  x: number,
  y: number,
  box: DOMRect,
  focused: boolean,
): void {
  const width = style.outlineStyle === "none" ? 0 : Number.parseFloat(style.outlineWidth) || 0;
  // The focus ring is not part of a picture.
  if (width === 0 || focused || !visible(style.outlineColor)) return;
  const away = (Number.parseFloat(style.outlineOffset) || 0) + width / 2;
  into.append(
    svgElement("rect", {
      x: x - away,
      y: y - away,
      width: Math.max(0, box.width + 2 * away),
      height: Math.max(0, box.height + 2 * away),
      fill: "none",
      stroke: style.outlineColor,
      "stroke-width": width,
    }),
  );
}

interface Border {
  width: number;
  colour: string;
}

/** Return a clipped group where the page clips or scrolls its content. */
function clipped(
  into: SVGElement,
  style: CSSStyleDeclaration,
  x: number,
  y: number,
  { width, height }: DOMRect,
  walk: Walk,
): SVGElement {
  if (style.overflowX === "visible" && style.overflowY === "visible") return into;
  const id = `clip${walk.clips++}`;
  const clip = svgElement("clipPath", { id });
  clip.append(svgElement("rect", { x, y, width, height }));
  const group = svgElement("g", { "clip-path": `url(#${id})` });
  into.append(clip, group);
  return group;
}
