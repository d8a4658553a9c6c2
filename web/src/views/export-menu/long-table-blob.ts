import type { LongTable } from "./long-table";
import type { LongTableRequest } from "./long-table-worker";

/** Return a long table as a file. A worker makes its text, and ends with it. */
export function longTableBlob(table: LongTable, format: "csv" | "json"): Promise<Blob> {
  const worker = new Worker(new URL("./long-table-worker.ts", import.meta.url), { type: "module" });
  const blob = new Promise<Blob>((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<Blob>) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message || "its script could not be loaded"));
    worker.onmessageerror = () => reject(new Error("the browser could not copy it"));
  });
  worker.postMessage({ table, format } satisfies LongTableRequest);
  return blob.finally(() => worker.terminate());
}
