/** What is worth a sentence in the live region, besides what the user did themselves. The view words it. */
export type News =
  | { kind: "down"; node: number; reporters: number[] }
  | { kind: "up"; node: number }
  | { kind: "hintDelivered"; by: number; to: number; key: string }
  | { kind: "requestEnded"; number: number; outcome: "done" | "notDone" | "unknown"; votes: number; needed: number }
  | { kind: "siblings"; key: string; count: number }
  | { kind: "connectionLost"; address: string }
  | { kind: "connectionBack"; address: string }
  | { kind: "violation"; checker: string };
