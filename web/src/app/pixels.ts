// Numbers in styles are pixels: `style={{ width: 104 }}`. Preact 11 writes them without a unit, and
// browsers ignore such lengths.

import { options } from "preact";

/** Properties whose numbers have no unit. */
const BARE = /^(--|(fill|stroke|stop|flood)?opacity$|zindex|order$|flex(grow|shrink)?$|grid(row|column)|lineheight|fontweight|zoom|scale$|aspectratio|tabsize|columns|columncount|orphans|widows|lineclamp)/;

/** `fill-opacity` and `fillOpacity` alike; custom properties keep their `--`. */
function plain(name: string): string {
  return name.startsWith("--") ? name : name.replaceAll("-", "").toLowerCase();
}

/** Return a style with `px` after its lengths. */
export function withPixels(style: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const written = Object.entries(style).map(([name, value]) => {
    const isLength = typeof value === "number" && value !== 0 && !BARE.test(plain(name));
    return [name, isLength ? `${value}px` : value] as const;
  });
  return Object.fromEntries(written);
}

/** Add `px` to the styles of all elements. Call once. */
export function writePixels(): void {
  const before = options.vnode;
  options.vnode = (vnode) => {
    const props = vnode.props as { style?: unknown } | null;
    if (typeof vnode.type === "string" && props && typeof props.style === "object" && props.style !== null) {
      props.style = withPixels(props.style as Record<string, unknown>);
    }
    before?.(vnode);
  };
}
