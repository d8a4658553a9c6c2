// Rendering of views in tests: `// @vitest-environment happy-dom` at the top of the file, then
// `draw(<View ... />)`.

import { render, type VNode } from "preact";
import { act } from "preact/test-utils";
import { afterEach } from "vitest";

let root: HTMLElement | null = null;

/** Render into a new element of the document, effects included. */
export async function draw(node: VNode): Promise<HTMLElement> {
  root ??= document.body.appendChild(document.createElement("div"));
  const target = root;
  await act(() => render(node, target));
  return target;
}

/** Do something that changes what is drawn, and wait for it. */
export async function change(work: () => void | Promise<void>): Promise<void> {
  await act(async () => {
    await work();
  });
}

/** Click the first element that a selector finds. */
export async function click(target: HTMLElement, selector: string): Promise<void> {
  const element = target.querySelector<HTMLElement>(selector);
  if (!element) throw new Error(`no ${selector}`);
  await change(() => element.click());
}

/** Press a key on the first element that a selector finds. */
export async function press(target: HTMLElement, selector: string, key: string): Promise<void> {
  const element = target.querySelector(selector);
  if (!element) throw new Error(`no ${selector}`);
  await change(() => {
    element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  });
}

/** Texts of all elements that a selector finds. */
export function texts(target: HTMLElement, selector: string): string[] {
  return [...target.querySelectorAll(selector)].map((element) => (element.textContent ?? "").trim());
}

afterEach(() => {
  if (root) {
    render(null, root);
    root.remove();
  }
  root = null;
});
