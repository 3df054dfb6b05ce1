/** What the view itself remembers: theme, language, what is open. Nothing of the cluster. */
import { languages, show, type Language } from "../messages/index.svelte.ts";

export type Theme = "dark" | "light";
export type SheetTab = "key" | "request" | "node" | "members" | "faults" | "time";
/** Above this speed, marks no longer flash: they would only flicker. */
export const FLASH_SPEED_MAX = 10;

class Ui {
  theme = $state<Theme>("dark");
  isHelpOpen = $state(false);
  /** Those of the language that was asked for did not come. */
  areWordsMissing = $state(false);
  isTable = $state(false);
  /** Single keys act; some people's tools press keys for them. */
  areKeysOn = $state(true);
  isStill = $state(false);
  /** The reader's own colours take the place of the theme's. */
  isForced = $state(false);
  /** Of a message in flight. */
  selectedFlight = $state<number | null>(null);
  isMerging = $state(false);
  tab = $state<SheetTab>("key");
  isNarrow = $state(false);
  isPhone = $state(false);
  isWide = $state(true);
  isLow = $state(false);
  /** Too low for the lanes of time below the ring: they are under a tab. */
  isShort = $state(false);

  /** `asked` is a language that the link asks for. */
  start(asked: Language | null): () => void {
    const light = matchMedia("(prefers-color-scheme: light)");
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    const forced = matchMedia("(forced-colors: active)");
    const stored = read("kvorum.theme");
    this.theme = stored === "dark" || stored === "light" ? stored : light.matches ? "light" : "dark";
    this.areKeysOn = read("kvorum.keys") !== "off";
    const language = asked ?? read("kvorum.language") ?? navigator.language.slice(0, 2);
    this.#show(languages.find((one) => one === language) ?? "en");
    const resize = (): void => {
      this.isPhone = innerWidth < 900;
      // Beside the ring of a lower or narrower stage there is no room for its instruments: they are under a tab.
      this.isNarrow = innerWidth < 1276 || innerHeight < 710;
      this.isWide = innerWidth >= 1400;
      this.isLow = innerHeight <= 840;
      this.isShort = innerHeight < 640;
    };
    const follow = (): void => {
      this.isStill = still.matches;
      this.isForced = forced.matches;
      if (read("kvorum.theme") === null) {
        this.theme = light.matches ? "light" : "dark";
      }
    };
    resize();
    follow();
    addEventListener("resize", resize);
    light.addEventListener("change", follow);
    still.addEventListener("change", follow);
    forced.addEventListener("change", follow);
    return () => {
      removeEventListener("resize", resize);
      light.removeEventListener("change", follow);
      still.removeEventListener("change", follow);
      forced.removeEventListener("change", follow);
    };
  }

  toggleTheme(): void {
    this.theme = this.theme === "dark" ? "light" : "dark";
    write("kvorum.theme", this.theme);
  }

  setLanguage(language: Language): void {
    write("kvorum.language", language);
    this.#show(language);
  }

  /** Words that cannot be loaded leave the page in the language that it has, which is better than none. */
  #show(language: Language): void {
    show(language).then(
      () => (this.areWordsMissing = false),
      () => (this.areWordsMissing = true),
    );
  }

  setKeys(areOn: boolean): void {
    this.areKeysOn = areOn;
    write("kvorum.keys", areOn ? "on" : "off");
  }
}

export const ui = new Ui();

/** Storage may be forbidden; then the page forgets, and that is all. */
function read(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function write(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Forgotten at the next load, as said above.
  }
}
