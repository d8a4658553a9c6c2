import type { FunctionComponent } from "preact";
import type { Manifest } from "../contract/generated";

/** Properties of every page. */
export interface PageProps {
  manifest: Manifest;
}

/** Default export of the module of a page. */
export type PageComponent = FunctionComponent<PageProps>;
