// Values of parameters as text in links.

/** Converts a value to text and back. `read` returns undefined for text that it cannot read. */
export interface Codec<T> {
  read(text: string): T | undefined;
  write(value: T): string;
}

/** Any text. */
export const text: Codec<string> = { read: (value) => value, write: (value) => value };

/** A whole number. Numbers outside of the bounds are moved to the nearest bound. */
export function integer(low: number, high: number): Codec<number> {
  return {
    read: (value) => {
      if (!/^-?\d{1,15}$/.test(value)) return undefined;
      return Math.min(high, Math.max(low, Number(value)));
    },
    write: String,
  };
}

/** A number within bounds, with six digits. */
export function number(low: number, high: number): Codec<number> {
  return {
    read: (value) => {
      const parsed = value.trim() === "" ? Number.NaN : Number(value);
      return Number.isFinite(parsed) ? Math.min(high, Math.max(low, parsed)) : undefined;
    },
    write: (value) => String(Number(value.toPrecision(6))),
  };
}

/** Yes or no. */
export const flag: Codec<boolean> = {
  read: (value) => (value === "1" ? true : value === "0" ? false : undefined),
  write: (value) => (value ? "1" : "0"),
};

/** One of several words. */
export function choice<const T extends string>(...words: T[]): Codec<T> {
  return { read: (value) => words.find((word) => word === value), write: (value) => value };
}

/**
 * Values with commas between. Within a value `,` is written `%2C` and `%` is `%25`; the empty text is
 * `%00`, so that a list of it alone differs from the empty list.
 */
export function list<T>(item: Codec<T>, most = 2000): Codec<T[]> {
  return {
    read: (value) => {
      if (value === "") return [];
      const parts = value.split(",").slice(0, most);
      const texts = parts.map((part) => part.replace(/^%00$/, "").replace(/%2C/g, ",").replace(/%25/g, "%"));
      return texts.flatMap((part) => {
        const parsed = item.read(part);
        return parsed === undefined ? [] : [parsed];
      });
    },
    write: (values) =>
      values.map((value) => item.write(value).replace(/%/g, "%25").replace(/,/g, "%2C") || "%00").join(","),
  };
}

/** A range, as `3-7`, both included; null means all and is the empty text. */
export const range: Codec<[number, number] | null> = {
  read: (value) => {
    if (value === "") return null;
    const match = /^(\d{1,5})-(\d{1,5})$/.exec(value);
    if (!match) return undefined;
    const [a, b] = [Number(match[1]), Number(match[2])];
    return a <= b ? [a, b] : [b, a];
  },
  write: (value) => (value === null ? "" : `${value[0]}-${value[1]}`),
};

/** Heads with commas between. A head of the same model as the previous head is written `L5:H3`. */
export const headList: Codec<string[]> = {
  read: (value) => {
    let model = "";
    const names = list(text).read(value) ?? [];
    return names.flatMap((name) => {
      const full = /^(.+?):(L\d+:H\d+)$/.exec(name);
      if (full) model = full[1] as string;
      else if (model === "" || !/^L\d+:H\d+$/.test(name)) return [];
      return [full ? name : `${model}:${name}`];
    });
  },
  write: (names) => {
    let model = "";
    const short = names.map((name) => {
      const parts = /^(.+?):(L\d+:H\d+)$/.exec(name);
      if (parts && parts[1] === model) return parts[2] as string;
      model = parts?.[1] ?? "";
      return name;
    });
    return list(text).write(short);
  },
};
