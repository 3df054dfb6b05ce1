/** Kvorum in JavaScript. The types, with a sentence for each, are in `index.d.ts`. */
export { KvorumError } from "./lib/errors.js";
export { load } from "./lib/load.js";
export { Store } from "./lib/store.js";
