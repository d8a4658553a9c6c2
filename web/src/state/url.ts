// The state of a page is in the query string, so that every view is a link.
//
// A parameter is declared once, with `param(name, codec, fallback)`. It reads like a signal (`.value`
// subscribes the component) and writes to the address. A value equal to the fallback is not written.
// A name means the same on every page; shared parameters are in params.ts.

import { computed, signal, type ReadonlySignal } from "@preact/signals";
import type { Codec } from "./codecs";
import { scrollToTop, storeScroll } from "./scroll";

const query = signal(window.location.search);
let inMemory = false;

/**
 * Keep the parameters in memory from now on, starting with a query string: a document in a frame has no
 * address of its own to write to.
 */
export function keepInMemory(search: string): void {
  inMemory = true;
  query.value = search;
}

window.addEventListener("popstate", () => {
  query.value = window.location.search;
});

/** The parameters of the current address. Reading them subscribes. */
export const parameters: ReadonlySignal<URLSearchParams> = computed(
  () => new URLSearchParams(query.value),
);

/** A parameter and its new text; null removes the parameter. */
export type Setting = readonly [name: string, text: string | null];

/** Return settings as a query string. `:`, `,`, `/` and `~` stay readable. */
export function queryString(settings: Iterable<readonly [string, string]>): string {
  const parts: string[] = [];
  for (const [name, text] of settings) parts.push(`${encode(name)}=${encode(text)}`);
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

function encode(text: string): string {
  // Half of a surrogate pair has no encoding, and would throw.
  const whole = text.replace(/\p{Surrogate}/gu, "\ufffd");
  return encodeURIComponent(whole).replace(/%(3A|2C|2F)/g, (code) => decodeURIComponent(code));
}

/** Change parameters of the address. `push` adds a step that Back undoes; `replace` does not. */
export function change(settings: Setting[], how: "push" | "replace" = "push"): void {
  go(queryString(changed(new Map(parameters.peek()), settings)) || "?", how);
}

/** Go to a query string of this site. A step to another page, head or pattern starts at its top. */
export function go(search: string, how: "push" | "replace" = "push"): void {
  if (inMemory) {
    query.value = search === "?" ? "" : search;
    return;
  }
  const before = window.location.search;
  if (search === before || (search === "?" && before === "")) return;
  if (how === "push") {
    storeScroll();
    window.history.pushState(null, "", search);
  } else window.history.replaceState(window.history.state, "", search);
  query.value = window.location.search;
  if (how === "push" && opensAnother(before, window.location.search)) scrollToTop();
}

const ABOUT_ONE_HEAD = new Set(["home", "head", "pattern"]);

/** Whether a step leads to another page, or to another head on a page about one head. */
export function opensAnother(before: string, after: string): boolean {
  const [from, to] = [new URLSearchParams(before), new URLSearchParams(after)];
  const page = to.get("page");
  if (from.get("page") !== page) return true;
  return ABOUT_ONE_HEAD.has(page ?? "home") && from.get("head") !== to.get("head");
}

/** A parameter of the address. */
export interface Param<T> {
  readonly name: string;
  readonly fallback: T;
  /** The current value. Reading it in a component or a computed signal subscribes. */
  readonly value: T;
  peek(): T;
  /** Set the value, as a step that Back undoes. */
  set(value: T): void;
  /** Set the value without a step, while dragging or typing. */
  replace(value: T): void;
  /** Return the setting of a value, for links and for `change`. */
  to(value: T): Setting;
}

/** Names of the parameters that every link to another page carries, in the order of declaration. */
const travelling = new Set<string>();

/**
 * Declare a parameter.
 *
 * @param options.travels whether links to other pages carry it
 */
export function param<T>(name: string, codec: Codec<T>, fallback: T, options: { travels?: boolean } = {}): Param<T> {
  if (options.travels) travelling.add(name);
  const text = computed(() => parameters.value.get(name));
  const current = computed(() => read(text.value, codec, fallback));
  const to = (value: T): Setting => {
    const written = codec.write(value);
    return [name, written === codec.write(fallback) ? null : written];
  };
  return {
    name,
    fallback,
    get value() {
      return current.value;
    },
    peek: () => current.peek(),
    set: (value) => change([to(value)], "push"),
    replace: (value) => change([to(value)], "replace"),
    to,
  };
}

function read<T>(text: string | null, codec: Codec<T>, fallback: T): T {
  if (text === null) return fallback;
  const value = codec.read(text);
  // A value that cannot be read gives the default, so that the page is not empty.
  return value === undefined ? fallback : value;
}

/**
 * Return the link to a page, with the parameters that travel: `link("head", head.to("gpt2-small:L5:H3"))`.
 * A setting at its default removes the parameter.
 */
export function link(page: string, ...settings: Setting[]): string {
  const next = new Map<string, string>([["page", page]]);
  for (const name of travelling) {
    const text = parameters.value.get(name);
    if (text !== null) next.set(name, text);
  }
  return queryString(changed(next, settings));
}

/** Return the link to this page with some parameters changed. */
export function here(...settings: Setting[]): string {
  return queryString(changed(new Map(parameters.value), settings)) || "?";
}

function changed(values: Map<string, string>, settings: readonly Setting[]): Map<string, string> {
  for (const [name, text] of settings) {
    if (text === null) values.delete(name);
    else values.set(name, text);
  }
  return values;
}
