import { describe, expect, it } from "vitest";
import { lastLineUs, putsOf, scriptReason } from "../../src/engine/script.ts";

const SCRIPT = "at 0s start n0\nat noon fly n0\n";
const of = (problem: string) => scriptReason(`line 2 of the script: ${problem}`, SCRIPT);

describe("a script that is none", () => {
  it("is told by its line, what is wrong there and what would be right", () => {
    for (const [problem, code, holes] of [
      ["expected `at TIME ACTION`, found `fly`", "scriptNoLine", { found: "fly" }],
      ["more than 10000 lines", "scriptTooLong", { most: 10_000 }],
      ["`noon` is no time; write seconds as `3s` or `3.25s`", "scriptNoTime", { found: "noon" }],
      ["`fly n0` is no action", "scriptNoAction", { found: "fly n0" }],
      ["`n99` is no node; nodes are n0 to n49", "scriptNoNode", { found: "n99", most: 49 }],
      ["`many` is no number of the range wanted here", "scriptNoNumber", { found: "many" }],
      ["`99999999`: at most 60000 milliseconds", "scriptTooLarge", { found: "99999999", most: 60_000 }],
      ["`loss=2000`: at most 1000 of 1000 messages", "scriptTooLarge", { found: "loss=2000", most: 1_000 }],
      ["`%zz` is no key or value; write other bytes as %41, none as ''", "scriptNoWord", { found: "%zz" }],
      ["`w` is no NAME=NUMBER", "scriptNoOption", { found: "w" }],
      ["`x` is no option here; there are r", "scriptNoOption", { found: "x" }],
      ["`x` is no rate; there are loss, dup, late and reorder", "scriptNoOption", { found: "x" }],
    ] as const) {
      expect(of(problem)).toEqual({ code, holes: { line: 2, ...holes } });
    }
  });

  it("is told by the line itself if a later core words it otherwise", () => {
    expect(of("something new")).toEqual({ code: "scriptLine", holes: { line: 2, found: "at noon fly n0" } });
    expect(scriptReason("no line at all", null)).toEqual({ code: "core", holes: { words: "no line at all" } });
  });

  it("is quoted in part if it is long", () => {
    const { holes } = of(`\`${"x".repeat(500)}\` is no action`);
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
