/** What kinds of peer messages look like and are called. Numbers as in traces: control as they are, data from 256. */
import { MESSAGE_KINDS } from "kvorum";
import type { Flight } from "./scene.ts";

/** Messages that carry a request; those below are control. */
const DATA = 256;

const NUMBERS: ReadonlyMap<string, number> = new Map(Object.entries(MESSAGE_KINDS).map(([number, name]) => [name, Number(number)]));

/** The package has the one table of kinds; a name that is not in it is a mistake of this page's. */
function numberOf(name: string): number {
  const number = NUMBERS.get(name);
  if (number === undefined) throw new Error(`the package has no message ${name}`);
  return number;
}

export const MESSAGE = {
  probe: numberOf("Probe"),
  write: numberOf("Write"),
  writeAnswer: numberOf("WriteAnswer"),
  read: numberOf("Read"),
  readAnswer: numberOf("ReadAnswer"),
  forward: numberOf("Forward"),
} as const;

export interface Look {
  glyph: Flight["glyph"];
  label: FlightLabel;
}

/** All labels of messages: message files have a sentence for each. */
export type FlightLabel =
  | "flight.write"
  | "flight.hint"
  | "flight.ack"
  | "flight.read"
  | "flight.readAnswer"
  | "flight.forward"
  | "flight.request"
  | "flight.answer"
  | "flight.repair"
  | "flight.gossip"
  | "flight.probe"
  | "flight.other";

const look = (glyph: Flight["glyph"], label: FlightLabel): Look => ({ glyph, label });
const OTHER = look("probe", "flight.other");

const GOSSIP = look("probe", "flight.gossip");
const PROBE = look("probe", "flight.probe");
const REPAIR = look("probe", "flight.repair");

const LOOKS: ReadonlyMap<string, Look> = new Map([
  ...["Join", "Welcome", "Refused", "Who", "Here", "Gossip"].map((name) => [name, GOSSIP] as const),
  ...["Probe", "Ack", "ProbeFor", "ProbedFor"].map((name) => [name, PROBE] as const),
  ...["Fetch", "Topology", "Prepare", "Promise", "Accept", "Accepted", "Reject", "Reports", "Joining"].map((name) => [name, GOSSIP] as const),
  ["Write", look("request", "flight.write")],
  ["WriteAnswer", look("ack", "flight.ack")],
  ["Read", look("request", "flight.read")],
  ["ReadAnswer", look("answer", "flight.readAnswer")],
  ["Forward", look("request", "flight.forward")],
  ["ForwardAnswer", look("ack", "flight.answer")],
  ...["TreeDigest", "TreeRoots", "TreeBranches", "TreeLeaves", "TreeKeys", "TreeWant"].map((name) => [name, REPAIR] as const),
  ["Pull", look("request", "flight.repair")],
  ["PullPage", look("answer", "flight.repair")],
  ["Scan", look("request", "flight.request")],
  ["ScanPage", look("answer", "flight.answer")],
  ["Count", look("request", "flight.request")],
  ["CountAnswer", look("answer", "flight.answer")],
]);

/** How a message of that kind is drawn; one that this page does not know yet is a small ring. */
export function lookOf(message: number): Look {
  return LOOKS.get(MESSAGE_KINDS[message] ?? "") ?? OTHER;
}

/** Whose request number a message carries: a question's sender's, an answer's receiver's. */
export function isAnswer(message: number): boolean {
  return message > DATA && message % 2 === 0;
}

/** What one draws only when asked for: probes, gossip and repair go on all the time. */
export function isBackground(glyph: Flight["glyph"]): boolean {
  return glyph === "probe";
}
