// Names of small files with a few heads each.

import type { HeadFiles, Manifest } from "../contract/generated";
import { headCount, modelOfRow } from "./heads";

/** A file with the rows of consecutive heads. */
export interface HeadFile {
  /** Name without ending. */
  name: string;
  firstRow: number;
  nRows: number;
}

/** Return the file that holds a head. */
export function fileOfHead(manifest: Manifest, files: HeadFiles, row: number): HeadFile {
  const model = modelOfRow(manifest, row);
  const code = manifest.models.indexOf(model);
  const each = files.per_file[code] ?? 1;
  const k = Math.floor((row - model.first_row) / each);
  const nRows = Math.min(each, headCount(model) - k * each);
  return { name: `${files.folder}/${code}/${k}`, firstRow: model.first_row + k * each, nRows };
}

/** Return the files that hold the heads from `first` on, in order. */
export function filesOfHeads(manifest: Manifest, files: HeadFiles, first: number, count: number): HeadFile[] {
  const needed: HeadFile[] = [];
  for (let row = first; row < first + count; ) {
    const file = fileOfHead(manifest, files, row);
    needed.push(file);
    row = file.firstRow + file.nRows;
  }
  return needed;
}
