import type { ComponentChildren } from "preact";
import type { Resource } from "../../state/resource";

/** Shows a resource once it is there, and before that what it waits for. */
export interface LoadedProps<T> {
  resource: Resource<T>;
  /** What is loaded, in words: "the distances". */
  what: string;
  /** Height to keep free while it loads, in pixels, so that the page does not jump. */
  height?: number;
  children: (value: T) => ComponentChildren;
}

/** There is nothing to show, and why. */
export interface EmptyProps {
  title: string;
  /** What to do about it. Text is shown as `Mend` shows it. */
  children?: ComponentChildren;
}

/** What to do about what is not there, with commands between backticks. */
export interface MendProps {
  text: string;
}

/** Something failed. `DataError` names the file and the mend. */
export interface FailedProps {
  error: Error;
}
