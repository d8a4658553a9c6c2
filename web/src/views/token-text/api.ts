/** The tokens of a prompt as running text. */
export interface TokenTextProps {
  tokens: readonly string[];
  /** Shade of each token, 0 to 1. */
  shades: ArrayLike<number>;
  query: number | null;
  keyToken: number | null;
  /** The first token is a mark that was put before the text. */
  bos: boolean;
  /** A token that is kept in sight; null lets the reader scroll. */
  follow: number | null;
  onHover: (token: number | null) => void;
  /** Click, or Left and Right. */
  onKeyToken: (token: number) => void;
  /** Right-click, or Shift with Left and Right. */
  onQueryToken: (token: number) => void;
}
