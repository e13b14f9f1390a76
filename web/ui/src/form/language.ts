import { StreamLanguage, type StreamParser } from "@codemirror/language";

interface Where {
  heredoc: string;
  comment: boolean;
}

const parser: StreamParser<Where> = {
  name: "hcl",
  startState: () => ({ heredoc: "", comment: false }),
  token(s, at) {
    if (at.comment) {
      if (s.skipTo("*/")) {
        s.match("*/");
        at.comment = false;
      } else s.skipToEnd();
      return "comment";
    }
    if (at.heredoc) {
      const line = s.string.trim();
      s.skipToEnd();
      if (line === at.heredoc) at.heredoc = "";
      return "string";
    }
    if (s.eatSpace()) return null;
    if (s.match(/^(#|\/\/).*/)) return "comment";
    if (s.match("/*")) {
      at.comment = true;
      return "comment";
    }
    const doc = s.match(/^<<-?([A-Za-z_][\w-]*)/) as RegExpMatchArray | null;
    if (doc) {
      at.heredoc = doc[1] ?? "";
      return "string";
    }
    if (s.match(/^"(?:[^"\\]|\\.)*"?/)) return "string";
    if (s.match(/^-?\d+(\.\d+)?([eE][+-]?\d+)?/)) return "number";
    if (s.match(/^(true|false|null)\b/)) return "bool";
    if (s.match(/^(for|in|if)\b/)) return "keyword";
    const word = s.match(/^[A-Za-z_][\w-]*/) as RegExpMatchArray | null;
    if (word) {
      if (s.match(/^\s*\(/, false)) return "variableName.function";
      if (s.match(/^\s*=[^=]/, false)) return "propertyName";
      if (s.match(/^(\s+"[^"]*")*\s*\{/, false)) return "keyword";
      return "variableName";
    }
    s.next();
    return "operator";
  },
  languageData: { commentTokens: { line: "#" }, closeBrackets: { brackets: ["(", "[", "{", '"'] } },
};

export const hcl = StreamLanguage.define(parser);
