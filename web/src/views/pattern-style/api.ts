/** Controls of the shared parameters `scale`, `map` and `sink`; they take no properties. */
export type PatternStyleControlsProps = Record<string, never>;
