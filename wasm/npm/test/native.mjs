import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const binary = process.env.KVORUM_BIN ?? fileURLToPath(new URL("../../../target/release/kvorum", import.meta.url));

/** What the native simulator says of a seed or a range of seeds: `native("--seed", "7")`. */
export function native(...wish) {
  if (!existsSync(binary)) throw new Error(`no ${binary}: make it with \`make build\`, or set KVORUM_BIN`);
  let output;
  try {
    output = execFileSync(binary, ["sim", ...wish, "--json"], { encoding: "utf8" });
  } catch (error) {
    if (error.status !== 1) throw error; // 1: a promise was broken, and the object says which.
    output = error.stdout;
  }
  return JSON.parse(output.trim().split("\n").at(-1));
}

/** The script that the native simulator draws for a seed. */
export function nativeScript(seed) {
  const output = execFileSync(binary, ["sim", "--seed", String(seed), "--print-script"], { encoding: "utf8" });
  return output.replace(/\n\n$/, "\n"); // It ends the last line, and then the text.
}
