"use strict";
// Everything that a model wrote is set as text, never as markup.
const $ = (id) => document.getElementById(id);

function make(tag, text, name) {
  const node = document.createElement(tag);
  if (text !== undefined && text !== null) node.textContent = visible(String(text));
  if (name) node.className = name;
  return node;
}

// Characters that would act on the page or hide in it are named instead.
function visible(text) {
  return text
    .replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
      (c) => "\u27e8U+" + c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0") + "\u27e9");
}

// ---- tables that sort and filter

function compare(a, b) {
  const x = parseFloat(a), y = parseFloat(b);
  if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
  if (Number.isNaN(x) !== Number.isNaN(y) && (a === "-" || b === "-")) return a === "-" ? -1 : 1;
  return String(a).localeCompare(String(b));
}

function turn(head) {
  const up = head.getAttribute("aria-sort") !== "ascending";
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  return up ? 1 : -1;
}

for (const table of document.querySelectorAll("table.sortable")) {
  table.tHead.addEventListener("click", (event) => {
    const head = event.target.closest("th");
    if (!head || event.target === head) return;
    const place = head.cellIndex, sign = turn(head), body = table.tBodies[0];
    const rows = [...body.rows];
    rows.sort((a, b) => sign * compare(a.cells[place].textContent, b.cells[place].textContent));
    body.append(...rows);
  });
}

for (const input of document.querySelectorAll("input[data-filters]")) {
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase();
    for (const row of $(input.dataset.filters).tBodies[0].rows)
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
}

// ---- the list of episodes, a page at a time

const PAGE = 50;
const index = JSON.parse($("index").textContent);
index.forEach((row, place) => { row.place = place; });
let ordered = [...index], shown = ordered, first = 0; // `index` stays in the order of the data

function failed(row) { return Object.values(row.failures || {}).some((count) => count > 0); }

function choose() {
  const words = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const outcome = $("outcome").value, policy = $("of").value;
  shown = ordered.filter((row) => {
    const text = `${row.policy} ${row.task} ${row.domain} ${row.seed} ${row.stop_reason}`.toLowerCase();
    return words.every((word) => text.includes(word)) && (!policy || row.policy === policy) &&
      (!outcome || (outcome === "valid" && row.valid) || (outcome === "invalid" && !row.valid) ||
        (outcome === "failed" && failed(row)) || (outcome === "broken" && row.broken));
  });
  first = 0;
  list();
}

function list() {
  const body = $("episode-table").tBodies[0];
  body.replaceChildren(...shown.slice(first, first + PAGE).map((row) => {
    const line = make("tr");
    line.tabIndex = 0;
    const rank = row.broken ? "broken" : row.valid ? row.rank.toFixed(3) + (row.medal ? ` ${row.medal}` : "") : "-";
    for (const cell of [row.policy, row.task, row.seed, rank, row.steps, row.stop_reason, row.wall_s.toFixed(1)])
      line.append(make("td", cell));
    line.addEventListener("click", () => open(row.place));
    line.addEventListener("keydown", (event) => { if (event.key === "Enter") open(row.place); });
    return line;
  }));
  $("count").textContent = `${shown.length} of ${index.length}`;
  $("where").textContent = shown.length ? `${first + 1} to ${Math.min(first + PAGE, shown.length)}` : "none";
  $("earlier").disabled = first === 0;
  $("later").disabled = first + PAGE >= shown.length;
}

// ---- one episode, or two side by side

const viewer = $("viewer"), panes = [...viewer.querySelectorAll("article")];
let current = -1, step = 0, cache = new Map();

async function unpack(place) {
  if (!cache.has(place)) {
    const bytes = Uint8Array.from(atob($("e" + place).textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    cache.set(place, JSON.parse(await new Response(stream).text()));
  }
  return cache.get(place);
}

async function open(place) {
  current = place;
  step = 0;
  const row = index[place];
  const others = index.filter((other) => other.task === row.task && other.place !== place);
  $("beside").replaceChildren(...[["", "nothing"], ...others.map((other) => [other.place,
    `${other.policy}, seed ${other.seed}, rank ${other.rank.toFixed(3)}`])].map(([value, text]) => {
    const option = make("option", text);
    option.value = value;
    return option;
  }));
  $("within").value = "";
  panes[1].hidden = true;
  panes[1].replaceChildren();
  await fill(panes[0], place);
  panes[0].tabIndex = -1;
  if (!viewer.open) viewer.showModal();
  panes[0].focus();
  viewer.scrollTop = 0;
  history.replaceState(null, "", "#episode=" + place);
  const position = shown.indexOf(row);
  $("previous").disabled = position <= 0;
  $("next").disabled = position < 0 || position + 1 >= shown.length;
  mark();
}

async function fill(pane, place) {
  const row = index[place], episode = await unpack(place), nodes = [];
  nodes.push(make("h3", `${row.task}, ${row.policy}, seed ${row.seed}`));
  const rank = row.valid ? row.rank.toFixed(3) : "none";
  const facts = [`rank ${rank}`, `reward ${episode.reward === null ? "none" : episode.reward.toFixed(3)}`,
    `ended by ${episode.stop}`, `${episode.wall} s`];
  if (row.medal) facts.push(row.medal);
  nodes.push(make("p", facts.join(", "), "quiet"));
  if (episode.error) nodes.push(make("p", `Broken on our side: ${episode.error}`, "failed"));
  const opening = make("details");
  opening.append(make("summary", "What the policy was told"));
  for (const [role, text] of episode.opening) opening.append(make("p", role, "quiet"), block(text));
  nodes.push(opening);
  episode.steps.forEach((one, number) => nodes.push(stepNode(one, number)));
  if (episode.tokens) nodes.push(tokensNode(episode.tokens));
  pane.replaceChildren(...nodes);
}

function stepNode(one, number) {
  const node = make("section", null, "step"), seen = one.observation;
  const head = make("h4", `${number + 1}. ${one.action}`);
  head.append(make("span", seen.status, seen.status));
  const facts = [];
  if (seen.score !== undefined) facts.push(`score ${seen.score.toPrecision(5)}`);
  if (seen.rank !== undefined) facts.push(`shown rank ${seen.rank.toFixed(3)}`);
  if (one.so_far !== null) facts.push(`rank so far ${one.so_far.toFixed(3)}`);
  facts.push(`reward ${one.reward.toFixed(3)}`);
  facts.push(`${one.seconds[0].toFixed(2)} s thinking, ${one.seconds[1].toFixed(2)} s acting, ${one.seconds[2].toFixed(2)} s script`);
  if (one.tokens[1]) facts.push(`${one.tokens[0]} + ${one.tokens[1]} tokens`);
  if (one.cost !== null) facts.push(`$${one.cost.toFixed(5)}`);
  if (one.version) facts.push(`policy version ${one.version}`);
  for (const fact of facts) head.append(make("span", fact));
  node.append(head);
  if (one.reasoning) node.append(folded("Reasoning", block(one.reasoning)));
  const code = make("pre");
  if (one.argument.some(([, text]) => text)) {
    for (const [name, text] of one.argument) code.append(name ? make("span", text, name) : document.createTextNode(visible(text)));
    node.append(code);
  }
  if (one.reply) node.append(folded("Reply as written", block(one.reply)));
  const error = [seen.error_class, seen.error_message].filter(Boolean).join(": ");
  if (error) node.append(make("p", error, "failed"));
  if (seen.traceback) node.append(folded("Traceback", block(seen.traceback)));
  if (seen.feedback) node.append(block(seen.feedback));
  const files = Object.entries(seen.files || {});
  if (files.length) node.append(make("p", "files: " + files.map(([name, size]) => `${name} (${size} B)`).join(", "), "quiet"));
  return node;
}

const LONG = 20000;
function block(text) {
  const node = make("pre", text.slice(0, LONG));
  if (text.length > LONG) {
    const more = make("button", `show all ${text.length} characters`);
    more.type = "button";
    more.addEventListener("click", () => { node.textContent = visible(text); });
    node.append(document.createElement("br"), more);
  }
  return node;
}

function folded(title, ...nodes) {
  const node = make("details");
  node.append(make("summary", title), ...nodes);
  return node;
}

function tokensNode(tokens) {
  const node = folded("Tokens: the policy's own are shaded, observations are masked from the loss");
  node.classList.add("tokens");
  node.addEventListener("toggle", () => {
    if (!node.open || node.querySelector("pre")) return;
    const code = make("pre");
    tokens.text.forEach((text, place) => {
      const own = tokens.mask[place] === "1", part = make(own ? "b" : "i", text);
      if (own) part.title = `log-prob ${tokens.logprobs[place]}`;
      code.append(part);
    });
    node.append(code);
  });
  return node;
}

function steps() { return [...panes[0].querySelectorAll(".step:not(.gone)")]; }

function mark() {
  const all = steps();
  step = Math.max(0, Math.min(step, all.length - 1));
  for (const node of viewer.querySelectorAll(".step.current")) node.classList.remove("current");
  if (all[step]) {
    all[step].classList.add("current");
    if (step) all[step].scrollIntoView({ block: "nearest" });
  }
}

function go(way) {
  const position = shown.indexOf(index[current]) + way;
  if (position >= 0 && position < shown.length) open(shown[position].place);
}

if ($("episode-table")) {
  for (const id of ["find", "of", "outcome"]) $(id).addEventListener("input", choose);
  $("earlier").addEventListener("click", () => { first = Math.max(0, first - PAGE); list(); });
  $("later").addEventListener("click", () => { first += PAGE; list(); });
  $("episode-table").tHead.addEventListener("click", (event) => {
    const key = event.target.dataset.key;
    if (!key) return;
    const sign = turn(event.target.closest("th"));
    ordered.sort((a, b) => sign * compare(a[key], b[key]));
    choose();
  });
  $("previous").addEventListener("click", () => go(-1));
  $("next").addEventListener("click", () => go(1));
  $("close").addEventListener("click", () => viewer.close());
  viewer.addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));
  $("beside").addEventListener("input", async () => {
    const place = $("beside").value;
    panes[1].hidden = place === "";
    if (place === "") panes[1].replaceChildren();
    else await fill(panes[1], Number(place));
  });
  $("within").addEventListener("input", () => {
    const wanted = $("within").value.toLowerCase();
    for (const node of viewer.querySelectorAll(".step"))
      node.classList.toggle("gone", !node.textContent.toLowerCase().includes(wanted));
    mark();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && viewer.open) { event.preventDefault(); viewer.close(); return; }  // also from a field
    if (event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!viewer.open) {
      if (event.key === "/") { event.preventDefault(); $("find").focus(); }
      return;
    }
    const tokens = panes[0].querySelector(".tokens");
    const act = {
      j: () => { step += 1; mark(); }, k: () => { step -= 1; mark(); }, n: () => go(1), p: () => go(-1),
      t: () => { if (tokens) { tokens.open = !tokens.open; tokens.scrollIntoView(); } },
      "/": () => $("within").focus(),
    }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  list();
  const asked = /^#episode=(\d+)$/.exec(location.hash);
  if (asked && $("e" + asked[1])) open(Number(asked[1]));
}
