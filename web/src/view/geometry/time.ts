/** The axis of virtual time in the dock, and what lies on its lanes. */
import type { TimelineMark } from "../../model/scene.ts";

export interface Axis {
  readonly startUs: number;
  readonly endUs: number;
  readonly stepUs: number;
  readonly left: number;
  readonly width: number;
}

const SECOND_US = 1_000_000;
const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5];
const STEP_COUNT_MAX = 14;
const SPAN_MIN_US = 2 * SECOND_US;
/** Of a longer run only the end is seen: marks of a minute ago can still be told apart, those of an hour cannot. */
const SPAN_MAX_US = 70 * SECOND_US;

/** Room behind now: the future is left empty. */
function least(nowUs: number): number {
  return Math.max(SPAN_MIN_US, Math.min(nowUs * 1.05, nowUs + 3 * SECOND_US));
}

/** Changes seldom, so that what is laid out by it is laid out seldom, though now changes with every frame. */
export function axisStepUs(nowUs: number): number {
  const fits = STEPS_S.find((step) => Math.ceil(least(nowUs) / (step * SECOND_US)) <= STEP_COUNT_MAX);
  return fits === undefined ? SPAN_MAX_US / STEP_COUNT_MAX : fits * SECOND_US;
}

export function axisEndUs(nowUs: number): number {
  const stepUs = axisStepUs(nowUs);
  return Math.ceil(least(nowUs) / stepUs) * stepUs;
}

/** From the start of the world, or as much as can be seen, to its end. */
export function axisOf(stepUs: number, endUs: number, left: number, width: number): Axis {
  return { startUs: Math.max(0, endUs - SPAN_MAX_US), endUs, stepUs, left, width };
}

/** What lies before the axis is drawn at its edge; who does not want that asks `isOn`. */
export function xOf(axis: Axis, us: number): number {
  return axis.left + (Math.max(0, us - axis.startUs) / (axis.endUs - axis.startUs)) * axis.width;
}

export function usAt(axis: Axis, x: number): number {
  return axis.startUs + Math.min(1, Math.max(0, (x - axis.left) / axis.width)) * (axis.endUs - axis.startUs);
}

export function isOn(axis: Axis, mark: TimelineMark): boolean {
  return "atUs" in mark ? mark.atUs >= axis.startUs : mark.toUs === null || mark.toUs >= axis.startUs;
}

export interface Tick {
  readonly x: number;
  readonly us: number;
  readonly isMajor: boolean;
}

export function ticksOf(axis: Axis): Tick[] {
  const count = Math.round((axis.endUs - axis.startUs) / axis.stepUs);
  const first = Math.round(axis.startUs / axis.stepUs);
  return Array.from({ length: count + 1 }, (_, index) => {
    const us = (first + index) * axis.stepUs;
    return { x: xOf(axis, us), us, isMajor: (first + index) % 2 === 0 };
  });
}

/** Events of each second as bars on a base line. `xAt`: of so many seconds behind the first one's beginning. */
export function densityPath(rates: readonly number[], base: number, xAt: (seconds: number) => number): string {
  const most = Math.max(1, ...rates);
  return rates.map((rate, index) => `M${xAt(index + 0.5).toFixed(1)} ${String(base)}v-${(1 + (14 * rate) / most).toFixed(1)}`).join("");
}

/** Between two forks: nearer ones could not be told apart. */
const FORK_SPACE = 13;

/**
 * Ticks of the requests as paths: puts and dels tall, gets short, and those where siblings arose, which are forks as far as forks have
 * room.
 */
export function requestPaths(axis: Axis, marks: readonly TimelineMark[], base: number, followed: number | null): { tall: string; short: string; forked: string; forks: number[] } {
  let [tall, short, forked] = ["", "", ""];
  const forks: number[] = [];
  for (const mark of marks) {
    if (mark.kind !== "request" || mark.number === followed) {
      continue;
    }
    const at = xOf(axis, mark.atUs);
    const x = at.toFixed(1);
    if (mark.siblings && Math.abs(at - (forks.at(-1) ?? -Infinity)) >= FORK_SPACE) {
      forks.push(at);
    } else if (mark.siblings) {
      forked += `M${x} ${String(base + 5)}v-10`;
    } else if (mark.verb === "get") {
      short += `M${x} ${String(base + 5)}v-5`;
    } else {
      tall += `M${x} ${String(base + 5)}v-10`;
    }
  }
  return { tall, short, forked, forks };
}

/** Those of many places that keep a distance, from left to right. */
export function thinned(xs: readonly number[], space: number): number[] {
  const kept: number[] = [];
  for (const x of [...xs].sort((a, b) => a - b)) {
    if (x - (kept.at(-1) ?? -Infinity) >= space) {
      kept.push(x);
    }
  }
  return kept;
}

/** 0.1 to 100 on a logarithmic ruler. */
export const SPEEDS: readonly number[] = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100];

export function speedX(speed: number, width: number): number {
  return ((Math.log10(Math.min(100, Math.max(0.1, speed))) + 1) / 3) * (width - 10) + 5;
}

export function speedAt(x: number, width: number): number {
  const speed = 10 ** (((x - 5) / (width - 10)) * 3 - 1);
  return SPEEDS.reduce((best, one) => (Math.abs(Math.log(one / speed)) < Math.abs(Math.log(best / speed)) ? one : best));
}

export function nextSpeed(speed: number, by: 1 | -1): number {
  const index = SPEEDS.findIndex((one) => one >= speed - 1e-9);
  return SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, index + by))] ?? speed;
}
