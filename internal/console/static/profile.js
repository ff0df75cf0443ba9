// What is to know of a password, while somebody types it. The rules are the
// server's own; it tries them again.
"use strict";

for (const list of document.querySelectorAll("[data-password]")) {
  const field = document.getElementById(list.dataset.password);
  const rules = [...list.children].map((line) => ({ line, pattern: new RegExp(line.dataset.pattern, "su") }));
  const tell = () => {
    for (const { line, pattern } of rules) line.hidden = !pattern.test(field.value);
  };
  field.addEventListener("input", tell);
  tell();
}
