/** What the page needs of the package beyond one call that runs until its answer. */
import type { PutOptions, ReadResult, WriteResult } from "kvorum";

declare module "kvorum" {
  interface Begun {
    /** `false`: nothing runs; the promise settles in a later `step` or `run`. */
    run?: boolean;
  }
  interface ClusterClient {
    put(key: string | Uint8Array, value: string | Uint8Array, options: PutOptions & Begun): Promise<WriteResult>;
    get(key: string | Uint8Array, options: { r?: number } & Begun): Promise<ReadResult>;
    del(key: string | Uint8Array, options: { context?: string | null; w?: number } & Begun): Promise<WriteResult>;
  }
  interface NodeSummary {
    /** Its number, by which events of nodes name it; its place if it says none. */
    member?: number | null;
    /** Its process runs, as far as is known; one that does not is `stopped` first and `down` when the others know. */
    isRunning?: boolean;
  }
}
