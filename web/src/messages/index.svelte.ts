/**
 * The words of the page: a typed lookup with named holes.
 *
 * English names the keys; every other language must have the same keys with the same holes, or it does not compile.
 * English is there at once; another language is loaded when it is asked for.
 */
import { en } from "./en.ts";
import { fill as fillHoles } from "./holes.ts";

export type MessageKey = keyof typeof en;
export type Catalog = Readonly<Record<MessageKey, string>>;
export type Language = "en" | "ko";

/** The names in braces of a text, as a union. */
export type HolesOf<Text extends string> = Text extends `${string}{${infer Hole}}${infer Rest}` ? Hole | HolesOf<Rest> : never;
type HolesArgument<Key extends MessageKey> = [HolesOf<(typeof en)[Key]>] extends [never]
  ? []
  : [holes: Record<HolesOf<(typeof en)[Key]>, string | number>];

export const languages: readonly Language[] = ["en", "ko"];

const loaders: Readonly<Record<Language, () => Promise<Catalog>>> = {
  en: () => Promise.resolve(en),
  ko: async () => (await import("./ko.ts")).ko,
};

class Shown {
  language = $state<Language>("en");
  catalog = $state.raw<Catalog>(en);
}

/** Which language is shown; read by every text. */
export const shown = new Shown();
let wanted: Language = "en";

/** Shows a language as soon as its words are there; if they cannot be loaded, the page stays as it is and this fails. */
export async function show(language: Language): Promise<void> {
  wanted = language;
  const catalog = await loaders[language]();
  // The last wish counts, whichever is loaded first.
  if (wanted === language) {
    shown.language = language;
    shown.catalog = catalog;
  }
}

export function t<Key extends MessageKey>(key: Key, ...[holes]: HolesArgument<Key>): string {
  return fill(shown.catalog[key], holes ?? {});
}

type CountedBase<Key> = Key extends `${infer Base}.other` ? (`${Base}.one` extends MessageKey ? Base : never) : never;
export type CountKey = CountedBase<MessageKey>;
type CountHoles<Base extends CountKey> = Exclude<HolesOf<(typeof en)[`${Base}.one` | `${Base}.other`]>, "count">;

/** By count: "1 sibling", "2 siblings". The hole `count` is the number as it is written here. */
export function tn<Base extends CountKey>(
  base: Base,
  count: number,
  ...[holes]: [CountHoles<Base>] extends [never] ? [] : [holes: Record<CountHoles<Base>, string | number>]
): string {
  return lookUp(`${base}.${count === 1 ? "one" : "other"}`, "flight.other", { ...(holes ?? {}), count: number(count) });
}

/** A key that was put together from data; `fallback` if the catalog has none such. */
export function lookUp(key: string, fallback: MessageKey, holes: Readonly<Record<string, string | number>> = {}): string {
  return fill(shown.catalog[isKey(key) ? key : fallback], holes);
}

export function isKey(key: string): key is MessageKey {
  return Object.hasOwn(en, key);
}

function fill(text: string, holes: Readonly<Record<string, string | number>>): string {
  return fillHoles(text, (name) => {
    const value = holes[name];
    return typeof value === "number" ? number(value) : value;
  });
}

const formats: Readonly<Record<Language, Intl.NumberFormat>> = {
  en: new Intl.NumberFormat("en"),
  ko: new Intl.NumberFormat("ko"),
};

export function number(value: number): string {
  return formats[shown.language].format(value);
}

export function decimal(value: number, digits: number): string {
  return value.toFixed(digits);
}

/** Names one after another: "a and e", "a, b and e". In Korean only commas: which word joins depends on the last sound. */
export function list(names: readonly string[]): string {
  if (shown.language === "ko" || names.length < 2) {
    return names.join(", ");
  }
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1) ?? ""}`;
}
