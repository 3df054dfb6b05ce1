/** How nodes, times and sizes are called on the page. */
import type { NodeState, NodeSummary } from "kvorum";
import { decimal, lookUp, number, t } from "../messages/index.svelte.ts";
import type { Mode, Scene, Verb } from "../model/scene.ts";

const LETTERS = "abcdefghijklmnopqrstuvwxyz";

/** Simulated nodes have letters, that fit into an arc; live ones the names that their operator gave them. */
export function nodeName(mode: Mode, name: string | undefined, index: number): string {
  if (mode === "live") {
    return name ?? `n${String(index)}`;
  }
  return LETTERS[index] ?? name ?? `n${String(index)}`;
}

export function nameIn(scene: Scene, index: number): string {
  return nodeName(scene.mode, scene.picture?.nodes[index]?.name, index);
}

export function namesIn(scene: Scene, nodes: readonly number[]): string[] {
  return nodes.map((node) => nameIn(scene, node));
}

/** An actor is a node's name, with the number of its life after the first: "n0", "n0.2"; a dot has its counter too. */
export function actorName(scene: Scene, actor: string): string {
  const [name] = /^[^.·]+/.exec(actor) ?? [actor];
  const index = scene.picture?.nodes.findIndex((node) => node.name === name) ?? -1;
  return index < 0 ? actor : `${nameIn(scene, index)}${actor.slice(name.length)}`;
}

export function isDown(state: NodeState | undefined): boolean {
  return state === "down" || state === "stopped";
}

/** A node that is suspected, paused, or not there yet is not up, though it is not down either. */
export function healthOf(nodes: readonly NodeSummary[]): { text: string; icon: "check" | "down" | "unknown"; isGood: boolean } {
  const [up, suspects] = (["up", "suspect"] as const).map((state) => nodes.filter((node) => node.state === state).length);
  const holes = { up: up ?? 0, total: nodes.length };
  const isGood = up === nodes.length;
  return {
    text: suspects ? t("health.upSuspect", { ...holes, suspects }) : t("health.up", holes),
    icon: isGood ? "check" : nodes.some((node) => isDown(node.state)) ? "down" : "unknown",
    isGood,
  };
}

export function stateName(state: NodeState): string {
  return lookUp(`state.${state}`, "state.up");
}

export function verbName(verb: Verb): string {
  return t(`verb.${verb}`);
}

export function clock(us: number): string {
  return t("time.clock", { seconds: decimal(us / 1e6, 3) });
}

/** Milliseconds with one digit, as little as a stage of a request needs. */
export function milliseconds(us: number): string {
  const ms = us / 1000;
  return ms >= 100 ? number(Math.round(ms)) : decimal(ms, 1);
}

export function wallClock(ms: number): string {
  const date = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(Math.floor(date.getMilliseconds() / 100))}`;
}

/** The same unit for several sizes, so that they can be compared at a glance. */
export function unitOf(most: number): { name: string; bytes: number; digits: number } {
  if (most >= 1 << 30) {
    return { name: "GiB", bytes: 1 << 30, digits: 1 };
  }
  if (most >= 1 << 20) {
    return { name: "MiB", bytes: 1 << 20, digits: 1 };
  }
  return most >= 1024 ? { name: "KiB", bytes: 1024, digits: 1 } : { name: "B", bytes: 1, digits: 0 };
}

export function size(bytes: number, unit = unitOf(bytes)): string {
  const value = bytes / unit.bytes;
  return `${bare(value, unit.digits)} ${unit.name}`;
}

export function bare(value: number, digits: number): string {
  return Number.isInteger(value) || value >= 100 ? number(Math.round(value)) : decimal(value, digits);
}

export function shortDigest(digest: string): string {
  return (digest.slice(0, 12).match(/.{1,4}/g) ?? []).join(" ");
}
