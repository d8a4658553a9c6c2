// Decoding of the binary columns of data files.

import type { Column, Dtype, Table } from "./generated";

/** Decoded values. float16 becomes float32, since few browsers have half-precision arrays. */
export type Values = Float32Array | Uint8Array | Uint16Array | Uint32Array | Int32Array;

const SIZES: Record<Dtype, number> = {
  float16: 2,
  float32: 4,
  uint8: 1,
  uint16: 2,
  uint32: 4,
  int32: 4,
};

/** The code that means "none" in a column of codes: the largest of its type. */
export const NO_CODE = { uint8: 0xff, uint16: 0xffff, uint32: 0xffffffff } as const;

let halves: Float32Array | undefined;

/** Return the 65,536 half-precision numbers as float32; computed once, 256 kB. */
function halfTable(): Float32Array {
  if (halves) return halves;
  halves = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    let value: number;
    if (exponent === 0) value = fraction * 2 ** -24;
    else if (exponent === 31) value = fraction ? Number.NaN : Number.POSITIVE_INFINITY;
    else value = (1 + fraction / 1024) * 2 ** (exponent - 15);
    halves[bits] = sign * value;
  }
  return halves;
}

/** Convert the bits of half-precision numbers to float32. */
export function decodeHalf(bits: Uint16Array): Float32Array {
  const table = halfTable();
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = table[bits[i] as number] as number;
  return values;
}

/**
 * Decode numbers of one type from the bytes of a file.
 *
 * @throws RangeError if the file is too short.
 */
export function decodeValues(
  buffer: ArrayBuffer,
  dtype: Dtype,
  offset = 0,
  length = Math.floor((buffer.byteLength - offset) / SIZES[dtype]),
): Values {
  if (offset < 0 || offset + length * SIZES[dtype] > buffer.byteLength) {
    const asked = `${length} values of ${dtype} at byte ${offset}`;
    throw new RangeError(`${asked} do not fit in ${buffer.byteLength} bytes`);
  }
  switch (dtype) {
    case "float16":
      return decodeHalf(new Uint16Array(buffer, offset, length));
    case "float32":
      return new Float32Array(buffer, offset, length);
    case "uint8":
      return new Uint8Array(buffer, offset, length);
    case "uint16":
      return new Uint16Array(buffer, offset, length);
    case "uint32":
      return new Uint32Array(buffer, offset, length);
    case "int32":
      return new Int32Array(buffer, offset, length);
  }
}

/** Decode one column of a table. */
export function decodeColumn(buffer: ArrayBuffer, column: Column): Values {
  return decodeValues(buffer, column.dtype, column.offset, column.length);
}

/** Return the label of a code; null for "none". */
export function labelOf(column: Column, code: number): string | null {
  return column.labels?.[code] ?? null;
}

/** Find a column by name. */
export function findColumn(table: Table, name: string): Column | undefined {
  return table.columns.find((column) => column.name === name);
}
