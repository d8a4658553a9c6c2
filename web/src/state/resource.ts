// Loading in a component: `const row = useResource(() => loadDistances(...), [metric, head])`.

import { useEffect, useRef, useState } from "preact/hooks";

/** Something that is being loaded, is there, or failed. */
export type Resource<T> =
  | { status: "loading"; value: undefined }
  | { status: "ready"; value: T }
  | { status: "failed"; value: undefined; error: Error };

const LOADING = { status: "loading", value: undefined } as const;

/**
 * Load something whenever `keys` change; answers that come late are dropped.
 *
 * @param options.keep while the next value loads, go on showing the last one, so that the page
 *   does not flicker: only for values that say themselves what they belong to.
 */
export function useResource<T>(
  load: () => Promise<T>,
  keys: readonly unknown[],
  options: { keep?: boolean } = {},
): Resource<T> {
  const [state, setState] = useState<{ keys: readonly unknown[]; resource: Resource<T> }>({
    keys,
    resource: LOADING,
  });
  const turn = useRef(0);
  useEffect(() => {
    const mine = ++turn.current;
    const set = (resource: Resource<T>) => {
      if (mine === turn.current) setState({ keys, resource });
    };
    // `load` may throw before it returns a promise: that is a failure like any other.
    Promise.resolve()
      .then(load)
      .then(
        (value) => set({ status: "ready", value }),
        (error: unknown) => {
          const failure = error instanceof Error ? error : new Error(String(error));
          set({ status: "failed", value: undefined, error: failure });
        },
      );
    return () => {
      turn.current++;
    };
  }, keys);
  const fresh = keys.length === state.keys.length && keys.every((key, i) => key === state.keys[i]);
  return fresh || (options.keep && state.resource.status === "ready") ? state.resource : LOADING;
}
