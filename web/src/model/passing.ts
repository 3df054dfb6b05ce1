/** Troubles that end by themselves. */
import type { Trouble } from "./scene.ts";

/** Of something that was asked for; what is drawn goes on. */
export function isPassing({ code }: Trouble): boolean {
  switch (code) {
    case "notPossible":
    case "noLink":
    case "noBack":
    case "tooFarBack":
    case "notMerged":
    case "mayBeLeft":
    case "aboveN":
    case "lowered":
      return true;
    default:
      return false;
  }
}
