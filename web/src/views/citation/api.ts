/** A title that links to a source elsewhere, if its address is one of the web. */
export interface CitationProps {
  title: string;
  url: string;
}
