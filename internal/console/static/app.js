// What the console adds where scripts run; every page works without it.
"use strict";

// Times in the viewer's zone, with UTC on hover.
const long = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
const exact = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" });
function localise(root) {
  for (const e of root.querySelectorAll("time[data-at]")) {
    const at = new Date(e.dateTime);
    if (isNaN(at)) continue;
    if (e.dataset.at === "date") e.textContent = long.format(at);
    else {
      e.textContent = ago(Date.now() - at);
      e.title = exact.format(at) + " · " + e.dataset.utc;
    }
  }
}

// How long ago, in the words of the server.
function ago(ms) {
  const s = ms / 1000;
  if (s < -10) return "in " + span(-s);
  return s < 10 ? "just now" : span(s) + " ago";
}

function span(s) {
  if (s < 60) return Math.floor(s) + " s";
  if (s < 3600) return Math.floor(s / 60) + " min";
  return s < 48 * 3600 ? Math.floor(s / 3600) + " h" : Math.floor(s / 86400) + " days";
}

// What this browser cannot do is not offered.
function offer(root) {
  for (const e of root.querySelectorAll("[data-copy]")) e.hidden = !navigator.clipboard;
}

function fresh() { localise(document); offer(document); }
fresh();
setInterval(() => localise(document), 15000);
document.addEventListener("htmx:after:swap", fresh);
document.addEventListener("htmx:after:settle", fresh);

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  await navigator.clipboard.writeText(source.value ?? source.textContent);
  const word = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = word; }, 1500);
});

// Menus close when something else is pressed.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// Keys
const keys = document.getElementById("keys");
const places = { o: "/", i: "/incidents", t: "/tenants", c: "/connections", j: "/jobs", a: "/audit", p: "/operators", s: "/settings", e: "/explain" };
let going = 0;

function typing(e) { return e.closest("input, textarea, select, [contenteditable]"); }

function walk(row, down) {
  const rows = [...row.closest("tbody").rows];
  const next = rows[rows.indexOf(row) + (down ? 1 : -1)];
  next?.querySelector("a, button")?.focus();
}

// What a search found is walked through with the arrows, from the box as well.
function walkResults(from, down) {
  const links = [...document.querySelectorAll("[data-results] a")];
  const at = links.indexOf(from);
  const next = at < 0 ? (down ? links[0] : undefined) : links[at + (down ? 1 : -1)];
  next?.focus();
  return Boolean(next);
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("details[data-menu][open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    if (document.activeElement?.id === "ask") document.activeElement.blur();
    return;
  }
  if ((event.key === "ArrowDown" || event.key === "ArrowUp") && (event.target.id === "ask" || event.target === document.body || event.target.id === "main" || event.target.closest("[data-results]"))) {
    if (walkResults(event.target, event.key === "ArrowDown")) {
      event.preventDefault();
      return;
    }
  }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  const row = event.target.closest("tbody tr");
  if (row && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    walk(row, event.key === "ArrowDown");
    return;
  }
  if (going && Date.now() - going < 1500 && places[event.key]) {
    going = 0;
    location.assign(places[event.key]);
    return;
  }
  going = event.key === "g" ? Date.now() : 0;
  if (event.key === "/") {
    event.preventDefault();
    document.getElementById("ask")?.focus();
  } else if (event.key === "?") {
    keys?.showModal();
  }
});

// Passkeys (WebAuthn): the server's options go to the browser, its answer back.
function problem(form, text) {
  const place = form.querySelector("[data-problem]");
  place.hidden = false;
  place.querySelector("span").textContent = text;
}

async function passkey(form) {
  const enrol = form.dataset.passkey === "enrol";
  const target = new URL(form.action);
  const begun = await fetch(target.pathname + "/begin", { method: "POST" });
  if (!begun.ok) throw new Error(await begun.text());
  const { publicKey } = await begun.json();
  const credential = enrol
    ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) })
    : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) });
  target.searchParams.set("name", form.elements.name?.value ?? "");
  const done = await fetch(target, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(credential),
  });
  if (!done.ok) throw new Error(await done.text());
  location.assign((await done.json()).next);
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.hidden = !window.PublicKeyCredential;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    passkey(form).catch((e) => problem(form, e.name === "NotAllowedError" ? "The browser did not get a passkey: it was cancelled or took too long. Try again, or use a code." : e.message));
  });
}
