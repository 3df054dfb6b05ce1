import { describe, expect, it } from "vitest";
import { en } from "../../src/messages/en.ts";
import { holesIn } from "../../src/messages/holes.ts";
import { ko } from "../../src/messages/ko.ts";

const END = "(?=[.:!?\\n”]|$)";

describe("the words of both languages", () => {
  it("have the same keys and the same holes", () => {
    expect(Object.keys(ko).sort()).toEqual(Object.keys(en).sort());
    for (const [key, text] of Object.entries(en)) expect(holesIn(Object.entries(ko).find(([name]) => name === key)?.[1] ?? ""), key).toEqual(holesIn(text));
  });

  it("speak in Korean in one register: 해요체 in sentences, nouns in labels", () => {
    const other = new RegExp(`(?:다|까|시오|하라)${END}`, "u");
    for (const [key, text] of Object.entries(ko)) expect(text, key).not.toMatch(other);
  });

  it("put no particle behind a hole, for its last sound is unknown", () => {
    for (const [key, text] of Object.entries(ko)) expect(text, key).not.toMatch(/\}(?:은|는|이|가|을|를|와|과|으로|로)(?=[\s.,:]|$)/u);
  });

  it("are written in the terms of the Korean literature", () => {
    const all = Object.values(ko).join("\n");
    for (const term of ["안정 해시", "해시 링", "정족수", "중재자", "다중화", "커밋 로그", "블룸 필터", "장애 감지", "담당 노드", "단서", "형제 버전"]) {
      expect(all).toContain(term);
    }
  });
});
