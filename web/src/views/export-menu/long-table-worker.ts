// The worker that makes a long table: the page answers meanwhile.

import { longText, type LongTable } from "./long-table";

/** What the worker is asked for. */
export interface LongTableRequest {
  table: LongTable;
  format: "csv" | "json";
}

self.onmessage = ({ data }: MessageEvent<LongTableRequest>) => {
  const parts: Blob[] = [];
  // A Blob each: the browser may keep it on disk, so that the text is not in memory twice.
  for (const text of longText(data.table, data.format)) parts.push(new Blob([text]));
  self.postMessage(new Blob(parts));
};
