/** A title that links to a source, if its address is a web address. */
export interface CitationProps {
  title: string;
  url: string;
}
