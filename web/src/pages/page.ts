import type { FunctionComponent } from "preact";
import type { Manifest } from "../contract/generated";

/** What every page is given. */
export interface PageProps {
  manifest: Manifest;
}

/** Default export of a module of a page. */
export type PageComponent = FunctionComponent<PageProps>;
