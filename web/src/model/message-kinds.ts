/** What kinds of peer messages look like and are called. Numbers as in traces: control as they are, data from 256. */
import type { Flight } from "./scene.ts";

export const DATA = 256;
export const MESSAGE = {
  gossip: 10,
  probe: 11,
  write: DATA + 1,
  writeAnswer: DATA + 2,
  read: DATA + 3,
  readAnswer: DATA + 4,
  forward: DATA + 5,
  forwardAnswer: DATA + 6,
} as const;

export interface Look {
  glyph: Flight["glyph"];
  label: FlightLabel;
}

/** All labels of messages: message files have a sentence for each. */
export const FLIGHT_LABELS = [
  "flight.write",
  "flight.hint",
  "flight.ack",
  "flight.read",
  "flight.readAnswer",
  "flight.forward",
  "flight.request",
  "flight.answer",
  "flight.repair",
  "flight.gossip",
  "flight.probe",
  "flight.other",
] as const;
export type FlightLabel = (typeof FLIGHT_LABELS)[number];

const look = (glyph: Flight["glyph"], label: FlightLabel): Look => ({ glyph, label });
const OTHER = look("probe", "flight.other");

const LOOKS: ReadonlyMap<number, Look> = new Map([
  [1, look("probe", "flight.gossip")],
  [2, look("probe", "flight.gossip")],
  [3, look("probe", "flight.gossip")],
  [4, look("probe", "flight.gossip")],
  [5, look("probe", "flight.gossip")],
  [10, look("probe", "flight.gossip")],
  [11, look("probe", "flight.probe")],
  [12, look("probe", "flight.probe")],
  [13, look("probe", "flight.probe")],
  [14, look("probe", "flight.probe")],
  [15, look("probe", "flight.gossip")],
  [16, look("probe", "flight.gossip")],
  [17, look("probe", "flight.gossip")],
  [18, look("probe", "flight.gossip")],
  [19, look("probe", "flight.gossip")],
  [20, look("probe", "flight.gossip")],
  [21, look("probe", "flight.gossip")],
  [22, look("probe", "flight.gossip")],
  [23, look("probe", "flight.gossip")],
  [DATA + 1, look("request", "flight.write")],
  [DATA + 2, look("ack", "flight.ack")],
  [DATA + 3, look("request", "flight.read")],
  [DATA + 4, look("answer", "flight.readAnswer")],
  [DATA + 5, look("request", "flight.forward")],
  [DATA + 6, look("ack", "flight.answer")],
  [DATA + 7, look("probe", "flight.repair")],
  [DATA + 8, look("probe", "flight.repair")],
  [DATA + 9, look("probe", "flight.repair")],
  [DATA + 10, look("probe", "flight.repair")],
  [DATA + 11, look("probe", "flight.repair")],
  [DATA + 12, look("probe", "flight.repair")],
  [DATA + 13, look("request", "flight.repair")],
  [DATA + 14, look("answer", "flight.repair")],
  [DATA + 15, look("request", "flight.request")],
  [DATA + 16, look("answer", "flight.answer")],
  [DATA + 17, look("request", "flight.request")],
  [DATA + 18, look("answer", "flight.answer")],
]);

/** How a message of that kind is drawn; one that this page does not know yet is a small ring. */
export function lookOf(message: number): Look {
  return LOOKS.get(message) ?? OTHER;
}

/** Whose request number a message carries: a question's sender's, an answer's receiver's. */
export function isAnswer(message: number): boolean {
  return message > DATA && message % 2 === 0;
}

/** What one draws only when asked for: probes, gossip and repair go on all the time. */
export function isBackground(glyph: Flight["glyph"]): boolean {
  return glyph === "probe";
}
