// Text of the page as SVG text: one `text` element per line.

import { svgElement } from "./svg-element";

let measure: CanvasRenderingContext2D | null = null;

/** Replace characters that XML does not allow. */
export function xmlSafe(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu, "\ufffd");
}

/** Return the distance from the top of a line of text to its baseline. */
function ascent(style: CSSStyleDeclaration): number {
  measure ??= document.createElement("canvas").getContext("2d");
  if (!measure) return Number.parseFloat(style.fontSize) * 0.93;
  measure.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  return measure.measureText("x").fontBoundingBoxAscent;
}

/** Add the lines of a text node. */
export function addText(
  into: SVGElement,
  node: Text,
  style: CSSStyleDeclaration,
  left: number,
  top: number,
): void {
  if (node.data.trim() === "") return;
  for (const line of lines(node)) {
    const element = svgElement("text", {
      x: line.box.left - left,
      y: line.box.top - top + ascent(style),
      fill: style.color,
      "font-family": style.fontFamily,
      "font-size": style.fontSize,
      "font-weight": style.fontWeight,
    });
    if (style.fontStyle !== "normal") element.setAttribute("font-style", style.fontStyle);
    const cased = style.textTransform === "uppercase" ? line.text.toUpperCase() : line.text;
    element.textContent = xmlSafe(cased);
    into.append(element);
  }
}

interface Line {
  text: string;
  box: DOMRect;
}

/** Split a text node into the lines of the page: words at the same height. */
function lines(node: Text): Line[] {
  const range = document.createRange();
  const parts: Line[] = [];
  for (const word of node.data.matchAll(/\S+/g)) {
    range.setStart(node, word.index);
    range.setEnd(node, word.index + word[0].length);
    const boxes = range.getClientRects();
    if (boxes.length > 1) {
      for (const piece of pieces(node, word.index, word[0], range)) parts.push(piece);
      continue;
    }
    const box = boxes[0];
    if (!box || box.width === 0) continue;
    const last = parts.at(-1);
    if (last && Math.abs(last.box.top - box.top) < 2) last.text += ` ${word[0]}`;
    else parts.push({ text: word[0], box });
  }
  return parts;
}

/** Split a word that the page breaks, where its characters change lines. */
function pieces(node: Text, start: number, word: string, range: Range): Line[] {
  const parts: Line[] = [];
  let at = start;
  for (const character of word) {
    range.setStart(node, at);
    at += character.length;
    range.setEnd(node, at);
    const box = range.getClientRects()[0];
    if (!box) continue;
    const last = parts.at(-1);
    if (last && Math.abs(last.box.top - box.top) < 2) last.text += character;
    else parts.push({ text: character, box });
  }
  return parts;
}
