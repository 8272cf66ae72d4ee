// SPDX-License-Identifier: Apache-2.0
// A CGI program in JavaScript. QuickJS gives scripts its modules `qjs:std` and
// `qjs:os`; here the first reads the request and writes the answer.

import * as std from "qjs:std";

const escape = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const parse = (text) =>
  Object.fromEntries(
    text.split("&").filter(Boolean).map((pair) =>
      pair.split("=", 2).map((part) => {
        try {
          return decodeURIComponent(part.replace(/\+/g, " "));
        } catch {
          return part;
        }
      })));

const env = std.getenviron();
const fields = parse(env.REQUEST_METHOD === "POST" ? std.in.readAsString() : env.QUERY_STRING);
const expression = fields.text ?? "A man, a plan, a canal: Panama";
const letters = [...expression.toLowerCase()].filter((c) => /\p{L}/u.test(c));
const palindrome = letters.join("") === [...letters].reverse().join("");

if ((env.HTTP_ACCEPT ?? "").includes("application/json")) {
  std.out.puts("Content-Type: application/json\n\n");
  std.out.puts(JSON.stringify({ text: expression, palindrome }) + "\n");
} else {
  std.out.puts(`Content-Type: text/html; charset=utf-8

<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>JavaScript</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<nav><a href="/">mod_wasm</a><span>JavaScript</span></nav>
<main>
<h1>JavaScript, by QuickJS</h1>
<form method="post" action="/js">
<label>Text <input name="text" value="${escape(expression)}"></label><button>Is it a palindrome?</button>
</form>
<p id="answer">${palindrome ? "Yes, it reads the same backwards." : "No, it does not."}</p>
<table><tr><th>Letter</th><th>Times</th></tr>
${Object.entries(Object.groupBy(letters, (c) => c))
  .sort(([, a], [, b]) => b.length - a.length)
  .slice(0, 8)
  .map(([letter, list]) => `<tr><td>${letter}</td><td>${list.length}</td></tr>`)
  .join("\n")}
</table>
</main>
</body>
</html>
`);
}
std.out.flush();
