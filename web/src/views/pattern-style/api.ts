/** Controls of the shared parameters `scale`, `map` and `sink`. */
export type PatternStyleControlsProps = Record<string, never>;
