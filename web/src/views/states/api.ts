import type { ComponentChildren } from "preact";
import type { Resource } from "../../state/resource";

/** Shows a resource once it is loaded; until then, what is being loaded. */
export interface LoadedProps<T> {
  resource: Resource<T>;
  /** What is loaded, in words: "the distances". */
  what: string;
  /** Height to keep free while it loads, in pixels, so that the page does not jump. */
  height?: number;
  children: (value: T) => ComponentChildren;
}

/** Says that there is nothing to show, and why. */
export interface EmptyProps {
  title: string;
  /** What the reader can do. A string is shown by `Fix`. */
  children?: ComponentChildren;
}

/** A sentence with commands between backticks. */
export interface FixProps {
  text: string;
}

/** Says that something failed. A `DataError` names the file and the fix. */
export interface FailedProps {
  error: Error;
  /** Try again; by default the page is loaded anew. */
  retry?: () => void;
}
