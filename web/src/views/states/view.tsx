import "./view.css";
import { Mend } from "./mend";
import type { EmptyProps, FailedProps, LoadedProps } from "./api";

/** Loading, failed, or the thing itself. */
export function Loaded<T>({ resource, what, height, children }: LoadedProps<T>) {
  if (resource.status === "failed") return <Failed error={resource.error} />;
  if (resource.status === "loading") return <Loading what={what} {...(height ? { height } : {})} />;
  return <>{children(resource.value)}</>;
}

/** A line that says what is being loaded; it appears only if that takes a moment. */
export function Loading({ what, height }: { what: string; height?: number }) {
  return (
    <div class="state state-loading" role="status" style={height ? { minHeight: `${height}px` } : {}}>
      <span class="state-spinner" aria-hidden="true" />
      Loading {what}…
    </div>
  );
}

/** Nothing to show. */
export function Empty({ title, children }: EmptyProps) {
  return (
    <div class="state state-empty">
      <strong>{title}</strong>
      {children === undefined ? null : (
        <div>{typeof children === "string" ? <Mend text={children} /> : children}</div>
      )}
    </div>
  );
}

/** An error, in one line, with a way to try again. */
export function Failed({ error }: FailedProps) {
  return (
    <div class="state state-failed" role="alert">
      <strong>This could not be shown.</strong>
      <div>{error.message}</div>
      <button type="button" onClick={() => window.location.reload()}>
        Try again
      </button>
    </div>
  );
}

export { Mend };
