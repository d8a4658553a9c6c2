// Loading in a component: `const row = useResource(() => loadDistances(...), [metric, head])`.

import { useEffect, useRef, useState } from "preact/hooks";

/** A value that is being loaded, is ready, or could not be loaded. */
export type Resource<T> =
  | { status: "loading"; value: undefined }
  | { status: "ready"; value: T }
  | {
      status: "failed";
      value: undefined;
      error: Error;
      /** Load it again. */
      retry: () => void;
    };

const LOADING = { status: "loading", value: undefined } as const;

/**
 * Load a value whenever `keys` change. Answers to earlier keys are dropped.
 *
 * @param options.keep while the next value loads, return the last one, so that the page does not
 *   flicker: only for values that name what they belong to
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
  const [attempt, setAttempt] = useState(0);
  const turn = useRef(0);
  useEffect(() => {
    const mine = ++turn.current;
    const set = (resource: Resource<T>) => {
      if (mine === turn.current) setState({ keys, resource });
    };
    const retry = () => {
      if (mine !== turn.current) return;
      set(LOADING);
      setAttempt((before) => before + 1);
    };
    // `load` may throw before it returns a promise; that is handled like a rejection.
    Promise.resolve()
      .then(load)
      .then(
        (value) => set({ status: "ready", value }),
        (error: unknown) => {
          // Another page's requests were aborted with those of this one, which still needs them.
          if (error instanceof Error && error.name === "AbortError") {
            retry();
            return;
          }
          const failure = error instanceof Error ? error : new Error(String(error));
          set({ status: "failed", value: undefined, error: failure, retry });
        },
      );
    return () => {
      turn.current++;
    };
  }, [...keys, attempt]);
  const fresh = keys.length === state.keys.length && keys.every((key, i) => key === state.keys[i]);
  return fresh || (options.keep && state.resource.status === "ready") ? state.resource : LOADING;
}
