// Texts, filters and groups of features.

import type { Feature } from "../../contract/generated";
import { figure } from "../../views/chart/scale";

/** Return the range of a feature in words. */
export function rangeInWords({ low, high }: Pick<Feature, "low" | "high">): string {
  if (low !== null && low === high) return figure(low);
  if (low !== null && high !== null) return `${figure(low)} to ${figure(high)}`;
  if (low !== null) return `${figure(low)} or more`;
  if (high !== null) return `${figure(high)} or less`;
  return "any number";
}

/** Return the importance over all components. */
export function totalImportance(feature: Pick<Feature, "importance">): number {
  return feature.importance.reduce((sum, share) => sum + share, 0);
}

/** Return the features that pass the filters. */
export function chosenFeatures(
  features: readonly Feature[],
  filters: { filter: string; set: string; context: string },
): Feature[] {
  const words = filters.filter.toLowerCase().split(/\s+/).filter(Boolean);
  return features.filter((feature) => {
    if (filters.set !== "" && feature.set !== filters.set) return false;
    if (filters.context !== "" && feature.context !== filters.context) return false;
    const text = `${feature.name} ${feature.statistic} ${feature.large}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** Return the places of the features most correlated with one, strongest first. */
export function mostCorrelated(correlation: Float32Array, n: number, place: number, most: number): number[] {
  const size = (i: number) => Math.abs(correlation[place * n + i] as number);
  return Array.from({ length: n }, (_, i) => i)
    .filter((i) => i !== place && Number.isFinite(size(i)))
    .sort((a, b) => size(b) - size(a))
    .slice(0, most);
}

/** Map a signed number to -1 to 1 on a logarithmic scale of six powers of ten. */
export function signedLog(value: number, most: number): number {
  if (value === 0 || most <= 0) return 0;
  return Math.sign(value) * Math.max(0, 1 + Math.log10(Math.abs(value) / most) / 6);
}

/** Return the options of a filter with their counts. */
export function counted(values: readonly string[]): { value: string; title: string }[] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [
    { value: "", title: "all" },
    ...[...counts].map(([value, count]) => ({ value, title: `${value} (${count})` })),
  ];
}

/** Return the runs of features with the same context. */
export function groupsOf(features: readonly Pick<Feature, "context">[]): { title: string; count: number }[] {
  const groups: { title: string; count: number }[] = [];
  for (const { context } of features) {
    const last = groups.at(-1);
    if (last?.title === context) last.count += 1;
    else groups.push({ title: context, count: 1 });
  }
  return groups;
}

/** Join small groups with the next until each but the last has `fewest` rows: room for its name. */
export function sharedLines(groups: readonly { title: string; count: number }[], fewest: number): { title: string; count: number }[] {
  const lines: { title: string; count: number }[] = [];
  for (const { title, count } of groups) {
    const last = lines.at(-1);
    if (last && last.count < fewest) {
      last.title += `, ${title}`;
      last.count += count;
    } else lines.push({ title, count });
  }
  return lines;
}
