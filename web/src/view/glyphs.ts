/** The marks of the legend, drawn on a box of 16 around 0, 0; each has its own shape, so that colour never speaks alone. */
export type GlyphName =
  | "owner"
  | "hint"
  | "fallback"
  | "down"
  | "dart"
  | "ack"
  | "answer"
  | "probe"
  | "fork"
  | "tombstone"
  | "check"
  | "unknown"
  | "wait"
  | "dash"
  | "filterNo"
  | "filterMaybe"
  | "found"
  | "running";

export type Role = "ink" | "muted" | "quiet" | "owner" | "hint" | "down" | "flight" | "conflict" | "bg";

export interface Shape {
  readonly path?: string;
  readonly circle?: { readonly x?: number; readonly y?: number; readonly r: number };
  readonly fill: "role" | "bg" | "none" | "hint-fill";
  readonly width?: number;
  readonly square?: boolean;
  readonly dash?: string;
}

export const GLYPHS: Readonly<Record<GlyphName, readonly Shape[]>> = {
  owner: [{ circle: { r: 5 }, fill: "role" }],
  hint: [{ path: "M0-5.7L5.7 0 0 5.7-5.7 0Z", fill: "hint-fill", width: 1.2 }],
  /** A fallback that holds nothing, or cannot give it: the same diamond, hollow. */
  fallback: [{ path: "M0-5.7L5.7 0 0 5.7-5.7 0Z", fill: "bg", width: 1.4 }],
  down: [{ path: "M-4.4-4.4L4.4 4.4M4.4-4.4L-4.4 4.4", fill: "none", width: 2.2, square: true }],
  dart: [{ path: "M7 0L-5-5.2-2.4 0-5 5.2Z", fill: "role" }],
  ack: [{ circle: { r: 4.6 }, fill: "role" }],
  answer: [{ path: "M-4.6-4.6H4.6V4.6H-4.6Z", fill: "role" }],
  probe: [{ circle: { r: 3.2 }, fill: "bg", width: 1.4 }],
  fork: [
    { path: "M-6 0H-1.5M-1.5 0C1 0 1-4.5 3.5-4.5H6M-1.5 0C1 0 1 4.5 3.5 4.5H6", fill: "none", width: 1.8 },
    { circle: { x: 6, y: -4.5, r: 2.2 }, fill: "role" },
    { circle: { x: 6, y: 4.5, r: 2.2 }, fill: "role" },
  ],
  tombstone: [{ path: "M-5 6V-1A5 5 0 0 1 5-1V6ZM-2 0H2", fill: "none", width: 1.6 }],
  check: [{ path: "M-5 0L-1.4 3.6 5-3.8", fill: "none", width: 2 }],
  unknown: [
    { path: "M-3-2.6C-3-7 3.4-6.6 3.4-2.8 3.4-.4 0-.4 0 2", fill: "none", width: 1.8 },
    { circle: { y: 5.4, r: 1.3 }, fill: "role" },
  ],
  wait: [
    { circle: { r: 4.6 }, fill: "none", width: 1.6 },
    { path: "M0-2.6V0H2.2", fill: "none", width: 1.4 },
  ],
  dash: [{ path: "M-5 0H5", fill: "none", width: 1.4 }],
  filterNo: [
    { circle: { r: 6 }, fill: "none", width: 1.4 },
    { path: "M-4 4L4-4", fill: "none", width: 1.4 },
  ],
  filterMaybe: [
    { circle: { r: 6 }, fill: "none", width: 1.4 },
    { path: "M0-6A6 6 0 0 0 0 6Z", fill: "role" },
  ],
  found: [{ circle: { r: 6.5 }, fill: "role" }],
  running: [{ circle: { r: 5 }, fill: "none", width: 1.6, dash: "3 2.2" }],
};
