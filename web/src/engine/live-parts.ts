/** What looking at a live cluster needs of the world outside, and which node served this page. */
import { isRecord } from "./json.ts";

/** An event stream that can be ended. */
export interface Socket {
  close(): void;
}

/** What an event stream calls: with text or an `ArrayBuffer`, and when it is over, however it ended. */
export interface SocketEars {
  onMessage(data: unknown): void;
  onClose(): void;
}

/** What the engine needs of the world outside. */
export interface LiveParts {
  openSocket(url: string, ears: SocketEars): Socket;
  /** The answer as JSON; `null` for one that is none; `refused` if the server forbids it. Throws if there is no answer. */
  fetchJson(url: string, timeoutMs: number): Promise<{ kind: "json"; value: unknown } | { kind: "refused" }>;
  wallMs(): number;
  /** Returns what calls it off. */
  later(ms: number, then: () => void): () => void;
  /** The page came by TLS: its browser lets it ask nobody otherwise. */
  readonly isSecure: boolean;
}

export function browserLiveParts(): LiveParts {
  return {
    openSocket: (url, ears) => {
      const socket = new WebSocket(url);
      socket.binaryType = "arraybuffer";
      socket.onmessage = (event) => ears.onMessage(event.data);
      socket.onclose = () => ears.onClose();
      return socket;
    },
    fetchJson: async (url, timeoutMs) => {
      const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), cache: "no-store" });
      if (response.status === 401 || response.status === 403) return { kind: "refused" };
      if (!response.ok) throw new Error(`${url} answers ${response.status}`);
      const value: unknown = await response.json();
      return { kind: "json", value };
    },
    wallMs: () => Date.now(),
    later: (ms, then) => {
      const timer = setTimeout(then, ms);
      return () => clearTimeout(timer);
    },
    isSecure: location.protocol === "https:",
  };
}

/** The address of the node that served this page, if one did. */
export async function servingNode(page: { protocol: string; host: string; href: string }): Promise<string | null> {
  if (!page.protocol.startsWith("http")) return null;
  try {
    const response = await fetch(new URL("./status?local=1", page.href), { signal: AbortSignal.timeout(1_000), cache: "no-store" });
    const value: unknown = response.ok ? await response.json() : null;
    return isRecord(value) && typeof value["name"] === "string" && typeof value["epoch"] === "number" ? page.host : null;
  } catch {
    // A static host answers with a page of its own, or not at all.
    return null;
  }
}
