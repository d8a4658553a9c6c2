import "./view.css";
import { Fix } from "./fix";
import type { EmptyProps, FailedProps, LoadedProps } from "./api";

/** A resource: loading, failed, or its content. */
export function Loaded<T>({ resource, what, height, children }: LoadedProps<T>) {
  if (resource.status === "failed") return <Failed error={resource.error} retry={resource.retry} />;
  if (resource.status === "loading") return <Loading what={what} {...(height ? { height } : {})} />;
  return <>{children(resource.value)}</>;
}

/** A line that names what is being loaded. It appears only if that takes a moment. */
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
        <div>{typeof children === "string" ? <Fix text={children} /> : children}</div>
      )}
    </div>
  );
}

/** An error, in one line, with a button that tries again. */
export function Failed({ error, retry }: FailedProps) {
  return (
    <div class="state state-failed" role="alert">
      <strong>This could not be shown.</strong>
      <div>{error.message}</div>
      <button type="button" onClick={() => (retry ? retry() : window.location.reload())}>
        {retry ? "Try again" : "Reload the page"}
      </button>
    </div>
  );
}

export { Fix };
