/** Kvorum in JavaScript. The types, with a sentence for each, are in `index.d.ts`. */
export { Cluster } from "./lib/cluster.js";
export { KvorumError } from "./lib/errors.js";
export { load } from "./lib/load.js";
export { FLIGHT_FIELDS, MESSAGE_KINDS } from "./lib/packed.js";
export { Store } from "./lib/store.js";
