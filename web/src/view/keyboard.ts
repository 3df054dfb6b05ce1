/** What single keys do. Off while a field has focus, and when the user has switched them off. */
import { tick } from "svelte";
import type { Verb } from "../model/scene.ts";
import { chooseNode } from "./choose.ts";
import type { ViewContext } from "./context.ts";
import { faultsOf } from "./faults.ts";
import { changeSpeed, step, toggle } from "./time.ts";
import { stepBack, toEnd } from "./travel.ts";
import { ui } from "./ui.svelte.ts";

const VERBS: Readonly<Record<string, Verb>> = { p: "put", g: "get", d: "del" };
/** A live cluster goes its own pace: of these it has none. */
const TIME_KEYS: readonly string[] = [".", ",", "e", "[", "]"];
const FAULTS: Readonly<Record<string, string>> = { x: "crash", c: "cut", s: "slow", l: "loss" };

export function onKey(view: ViewContext, event: KeyboardEvent): void {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) {
    return;
  }
  const inField = event.target instanceof HTMLElement && event.target.closest("input, select, textarea, [contenteditable]") !== null;
  if (event.key === "Escape") {
    back(view, inField);
    return;
  }
  // A button under focus takes Space and Enter itself.
  const isOnButton = event.target instanceof HTMLElement && event.target.closest("button, [role=slider]") !== null;
  if (inField || !ui.areKeysOn || (isOnButton && (event.key === " " || event.key === "Enter"))) {
    return;
  }
  if (act(view, event)) {
    event.preventDefault();
  }
}

function act(view: ViewContext, event: KeyboardEvent): boolean {
  const { scene, actions } = view;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const isLive = scene.mode === "live";
  if (isLive && TIME_KEYS.includes(key)) {
    return false;
  }
  switch (key) {
    case " ":
      toggle(view);
      return true;
    case ".":
      step(view);
      return true;
    case ",":
      stepBack(view);
      return true;
    case "e":
      toEnd(view);
      return true;
    case "[":
    case "]":
      changeSpeed(view, key === "]" ? 1 : -1);
      return true;
    case "ArrowLeft":
    case "ArrowRight":
      return alongRing(view, key === "ArrowRight" ? 1 : -1);
    case "r":
      actions.setView(scene.view === "request" ? "cluster" : "request");
      return true;
    case "t":
      // From another view, it is the table that is asked for.
      ui.isTable = scene.view === "request" || !ui.isTable;
      actions.setView("cluster");
      return true;
    case "m":
      ui.isMerging = !isLive && (scene.keyPicture?.siblings.length ?? 0) > 1;
      if (ui.isMerging) {
        actions.setView("cluster");
        ui.tab = "key";
      }
      return ui.isMerging;
    case "/":
      actions.setView("cluster");
      if (!isLive) {
        actions.setDraft({ verb: "get" });
      }
      focusSoon(isLive ? "live-key" : "composer-key");
      return true;
    case "?":
      ui.isHelpOpen = !ui.isHelpOpen;
      return true;
    default:
      return others(view, event, key);
  }
}

function others(view: ViewContext, event: KeyboardEvent, key: string): boolean {
  const { scene, actions } = view;
  if (/^[1-9]$/.test(key)) {
    return chooseNode(view, Number(key) - 1);
  }
  const verb = VERBS[key];
  if (verb !== undefined && scene.mode === "simulated") {
    actions.setView("cluster");
    actions.setDraft({ verb });
    focusSoon("composer-key");
    return true;
  }
  const id = key === "c" && event.shiftKey ? "halves" : FAULTS[key];
  const fault = id === undefined || scene.mode === "live" ? undefined : faultsOf(view).find((one) => one.id === id);
  fault?.act();
  return fault !== undefined;
}

function alongRing(view: ViewContext, by: 1 | -1): boolean {
  const count = view.scene.picture?.nodes.length ?? 0;
  return count > 0 && chooseNode(view, ((view.scene.selectedNode ?? (by > 0 ? -1 : 0)) + by + count) % count);
}

/** One step back out of whatever is open. */
function back({ scene, actions }: ViewContext, inField: boolean): void {
  if (ui.isMerging) {
    ui.isMerging = false;
  } else if (inField && document.activeElement instanceof HTMLElement) {
    document.activeElement.blur();
  } else if (ui.isHelpOpen) {
    ui.isHelpOpen = false;
  } else if (ui.selectedFlight !== null) {
    ui.selectedFlight = null;
  } else if (ui.isTable) {
    ui.isTable = false;
  } else if (scene.view === "request") {
    actions.setView("cluster");
  }
}

/** After the view has drawn what the action opened. */
function focusSoon(id: string): void {
  // Not a frame later: what is typed meanwhile would act as single keys.
  void tick().then(() => {
    const field = document.getElementById(id);
    field?.focus();
    if (field instanceof HTMLInputElement) {
      field.select();
    }
  });
}
