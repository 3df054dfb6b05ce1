import { describe, expect, it } from "vitest";
import type { ScriptFault } from "kvorum";
import { lastLineUs, putsOf, scriptFaultOf, scriptReason } from "../../src/engine/script.ts";

const fault = (part: Partial<ScriptFault>): ScriptFault => ({ line: 2, problem: "noAction", found: "fly n0", ...part });

describe("a script that is none", () => {
  it("is told by its line, what is wrong there and what would be right", () => {
    expect(scriptReason(fault({}))).toEqual({ code: "scriptNoAction", holes: { line: 2, found: "fly n0" } });
    expect(scriptReason(fault({ problem: "noNode", found: "n99", most: 49 }))).toEqual({
      code: "scriptNoNode",
      holes: { line: 2, found: "n99", most: 49 },
    });
  });

  it("is known by its fields; anything else is none", () => {
    expect(scriptFaultOf({ ...fault({ problem: "tooLarge", most: 5 }), more: 1 })).toEqual(fault({ problem: "tooLarge", most: 5 }));
    expect(scriptFaultOf({ ...fault({}), most: undefined })).toEqual(fault({}));
    for (const other of [null, undefined, "line 2", {}, { ...fault({}), line: "2" }, { ...fault({}), problem: "constructor" }]) {
      expect(scriptFaultOf(other)).toBeNull();
    }
  });

  it("is quoted in part if it is long", () => {
    const { holes } = scriptReason(fault({ found: "x".repeat(500) }));
    expect(String(holes["found"]).length).toBeLessThanOrEqual(60);
  });
});

describe("a script's puts", () => {
  it("are known with their times and values, whatever they are written as", () => {
    const script = [
      "at 0s start n0",
      "at 1.500001s put n0 cart milk%20and%20eggs w=3",
      "at 2s put n12 %EC%9E%A5%EB%B0%94%EA%B5%AC%EB%8B%88 '' ttl=5",
      "at 3s get n0 cart",
      "at 3s del n0 cart",
      // No text: such a value is not shown as one.
      "at 4.25s put n1 bytes %FF%00",
      "",
    ].join("\n");
    expect(putsOf(script)).toEqual([
      { atUs: 1_500_001, node: 0, key: "cart", value: "milk and eggs" },
      { atUs: 2_000_000, node: 12, key: "장바구니", value: "" },
    ]);
    expect([lastLineUs(script), lastLineUs("")]).toEqual([4_250_000, 0]);
  });
});
