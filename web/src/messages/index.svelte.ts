/**
 * The words of the page: a typed lookup with named holes.
 *
 * English names the keys; every other language must have the same keys with the same holes, or it does not compile.
 */
import { en } from "./en.ts";
import { ko } from "./ko.ts";

export type MessageKey = keyof typeof en;
export type Language = "en" | "ko";

/** The names in braces of a text, as a union. */
export type HolesOf<Text extends string> = Text extends `${string}{${infer Hole}}${infer Rest}` ? Hole | HolesOf<Rest> : never;
type HolesArgument<Key extends MessageKey> = [HolesOf<(typeof en)[Key]>] extends [never]
  ? []
  : [holes: Record<HolesOf<(typeof en)[Key]>, string | number>];

export const catalogs: Readonly<Record<Language, Readonly<Record<MessageKey, string>>>> = { en, ko };
export const languages: readonly Language[] = ["en", "ko"];

/** Which language is shown; set by the view, read by every text. */
export const shown = $state<{ language: Language }>({ language: "en" });

export function t<Key extends MessageKey>(key: Key, ...[holes]: HolesArgument<Key>): string {
  return fill(catalogs[shown.language][key], holes ?? {});
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
  return fill(isKey(key) ? catalogs[shown.language][key] : catalogs[shown.language][fallback], holes);
}

export function isKey(key: string): key is MessageKey {
  return Object.hasOwn(en, key);
}

function fill(text: string, holes: Readonly<Record<string, string | number>>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = holes[name];
    return value === undefined ? whole : typeof value === "number" ? number(value) : value;
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

/** Names one after another: "a and e", "a, b and e". */
export function list(names: readonly string[]): string {
  return new Intl.ListFormat(shown.language, { type: "conjunction", style: shown.language === "ko" ? "narrow" : "long" })
    .format(shown.language === "ko" ? [names.join(", ")] : names)
    .replace(", and ", " and ");
}
