interface RangeProps {
  low: number;
  high: number;
  /** Upper end of the sliders. */
  most: number;
  onChange: (low: number, high: number) => void;
  /** Null if the range is the default. */
  onReset: (() => void) | null;
}

/** Sliders for the distances at the two ends of the colours. */
export function Range({ low, high, most, onChange, onReset }: RangeProps) {
  const step = most > 0 ? most / 200 : 1;
  const slider = (label: string, value: number, change: (value: number) => void) => (
    <input
      type="range"
      min={0}
      max={most}
      step={step}
      value={value}
      aria-label={label}
      aria-valuetext={value.toPrecision(3)}
      title={label}
      onInput={(event) => change(Number(event.currentTarget.value))}
    />
  );
  return (
    <span class="control distances-range" role="group" aria-label="Range of the colours">
      <span>Range</span>
      {slider("Smallest distance of the colours", low, (value) => onChange(Math.min(value, high - step), high))}
      {slider("Largest distance of the colours", high, (value) => onChange(low, Math.max(value, low + step)))}
      <button type="button" disabled={onReset === null} onClick={() => onReset?.()}>
        Reset
      </button>
    </span>
  );
}
