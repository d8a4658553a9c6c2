/** The tokens of a prompt as running text. */
export interface TokenTextProps {
  tokens: readonly string[];
  /** Shade of every token, 0 to 1. */
  shades: ArrayLike<number>;
  query: number | null;
  keyToken: number | null;
  /** Whether the first token is BOS. */
  bos: boolean;
  /** A token that is scrolled into view; null for none. */
  follow: number | null;
  onHover: (token: number | null) => void;
  /** Called on a click, or by Left and Right. */
  onKeyToken: (token: number) => void;
  /** Called on a right-click, or by Shift with Left and Right. */
  onQueryToken: (token: number) => void;
}
