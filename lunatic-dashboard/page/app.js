"use strict";

// What a guest has chosen is only ever set as text.

const byId = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made && key !== "list") {
      made[key] = value;
    } else {
      made.setAttribute(key, value);
    }
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const svg = (name, properties) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(properties)) {
    made.setAttribute(key, value);
  }
  return made;
};

// Numbers for people.

const digits = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const count = (value) => (value === null || value === undefined ? "–" : digits.format(value));
const some = (value) => (value < 10000 ? digits.format(Math.round(value)) : short.format(value));

function bytes(value) {
  if (value === null || value === undefined) {
    return "–";
  }
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

function time(micros) {
  if (micros === null || micros === undefined) {
    return "–";
  }
  if (micros < 1000) {
    return `${Math.round(micros)} µs`;
  }
  if (micros < 1e6) {
    return `${(micros / 1000).toFixed(1)} ms`;
  }
  const seconds = micros / 1e6;
  if (seconds < 120) {
    return `${seconds.toFixed(1)} s`;
  }
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

// The control characters of a text are shown, not obeyed.
const visible = (text) =>
  text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (char) =>
    `\\u{${char.codePointAt(0).toString(16)}}`);

const isBytes = (what) => what.startsWith("bytes") || what.includes("memory");

function table(into, rows) {
  into.replaceChildren(...rows.map((cells) => element("tr", {}, ...cells)));
}

const head = (text, properties = {}) => element("th", { textContent: text, ...properties });
const cell = (text, properties = {}) => element("td", { textContent: text, ...properties });
const number = (text) => cell(text, { className: "number" });

// Graphs: two minutes of what is counted.

const KEPT = 120;
const graphs = [
  ["use", "Scheduler use", (value) => `${Math.round(value * 100)} %`, 1],
  ["queue", "Tasks that wait", some],
  ["delay", "Scheduling delay", time],
  ["processes", "Processes", some],
  ["spawns", "Spawned in a second", some],
  ["messages", "Messages in a second", some],
  ["longest", "Longest mailbox", some],
  ["waiting", "Messages that wait", some],
  ["memory", "Memory of the program", bytes],
  ["restarts", "Restarts", some],
].map(([key, title, shown, most]) => {
  const value = element("b", { textContent: "–" });
  const line = svg("polyline", {});
  const area = svg("polygon", {});
  const picture = svg("svg", {
    viewBox: `0 0 ${KEPT - 1} 100`,
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  picture.append(area, line);
  byId("cards").append(element(
    "figure",
    { className: "card", id: `graph-${key}` },
    element("figcaption", { textContent: title }),
    value,
    picture,
  ));
  return { key, shown, most, value, line, area, values: [] };
});

function draw(graph, latest) {
  graph.values.push(latest ?? 0);
  if (graph.values.length > KEPT) {
    graph.values.shift();
  }
  graph.value.textContent = latest === null ? "–" : graph.shown(latest);
  const most = graph.most ?? Math.max(...graph.values, 1);
  const first = KEPT - graph.values.length;
  const points = graph.values.map((value, index) =>
    `${first + index},${(100 - (Math.min(value, most) / most) * 96).toFixed(1)}`);
  graph.line.setAttribute("points", points.join(" "));
  graph.area.setAttribute("points", `${first},100 ${points.join(" ")} ${KEPT - 1},100`);
}

let before = null;

function measured(now) {
  byId("runtime").textContent =
    `${now.version}${now.node ? ` · node ${visible(now.node)}` : ""} · ${time(now.uptime_ms * 1000)}`;
  const passed = before ? (now.uptime_ms - before.uptime_ms) / 1000 : 0;
  const rate = (key) => (passed > 0 ? Math.max(0, now[key] - before[key]) / passed : 0);
  const use = now.workers.map((worker, index) => {
    const busy = passed > 0 ? worker.busy_us - (before.workers[index]?.busy_us ?? 0) : 0;
    return passed > 0 ? Math.min(1, Math.max(0, busy / 1e6 / passed)) : 0;
  });
  const sum = (values) => values.reduce((all, value) => all + value, 0);
  const latest = {
    use: sum(use) / Math.max(1, use.length),
    queue: now.queued + sum(now.workers.map((worker) => worker.queued)),
    delay: now.delay_us,
    processes: now.processes,
    spawns: rate("spawned"),
    messages: rate("messages"),
    longest: now.mailbox_longest,
    waiting: now.mailbox_messages,
    memory: now.resident_memory,
    restarts: now.restarts,
  };
  for (const graph of graphs) {
    draw(graph, latest[graph.key]);
  }
  before = now;

  table(byId("workers"), now.workers.map((worker, index) => [
    head(`${index}`),
    element("td", {}, element("meter", {
      value: use[index],
      max: 1,
      title: `worker ${index} is busy ${Math.round(use[index] * 100)} % of the time`,
    })),
    number(`${Math.round(use[index] * 100)} %`),
    number(`${count(worker.queued)} waiting`),
  ]));
  table(byId("ended"), now.ended.map((ended) => [head(ended.what), number(count(ended.count))])
    .concat(now.sockets.map((sockets) =>
      [head(`open sockets, ${sockets.what}`), number(count(sockets.count))]))
    .concat(now.reloads.map((reload) =>
      [head(`reloads ${reload.what}`), number(count(reload.count))])));
  table(byId("slots"), [
    [head("for"), head("size", { className: "number" }), head("used", { className: "number" }),
      head("free", { className: "number" })],
    ...now.slots.map((slot) =>
      [cell(slot.kind), number(bytes(slot.slot_bytes)), number(count(slot.used)),
        number(count(slot.free))]),
  ]);
  table(byId("account"), now.account.map(usage));

  byId("nodes-note").textContent = now.node === null
    ? "This runtime belongs to no cluster."
    : `This is node ${visible(now.node)}; it has a session with ${count(now.peers.length)} others.`;
  table(byId("peers"), now.peers.length + now.gone.length === 0 ? [] : [
    ["node", "address", "round trip", "waiting", "sent", "received"].map((text, index) =>
      head(text, { className: index > 1 ? "number" : "" })),
    ...now.peers.map((peer) => [
      cell(visible(peer.name)), cell(peer.address), number(time(peer.round_trip_us)),
      number(bytes(peer.queued_bytes)), number(bytes(peer.sent_bytes)),
      number(bytes(peer.received_bytes)),
    ]),
    ...now.gone.map((gone) => [
      cell(visible(gone.name)), cell(gone.address),
      cell(`${gone.left ? "left" : "lost"} ${time(gone.ago_ms * 1000)} ago`, { colSpan: 4 }),
    ]),
  ]);
}

function usage(of) {
  const shown = isBytes(of.what) ? bytes : count;
  const limit = of.limit === null ? "" : ` of ${shown(of.limit)}`;
  return [head(of.what), number(`${shown(of.used)}${limit}`)];
}

// The table of processes: paged and sorted by the runtime.

const PAGE = 50;
const columns = [
  ["pid", "PID", "pid", "number"],
  ["label", "Label", "label", "label"],
  ["state", "State", null, ""],
  ["module", "Module", null, "wide"],
  ["mailbox", "Mailbox", "mailbox", "number"],
  ["memory", "Memory", null, "number wide"],
  ["cpu", "CPU", "cpu", "number wide"],
  ["restarts", "Restarts", null, "number wide"],
  ["links", "Links", "links", "number wide"],
  ["parent", "Parent", null, "number wide"],
];
const listed = { sort: "pid", offset: 0, filter: "" };

const headers = columns.map(([, text, sort, className]) => {
  const header = element("th", { className, scope: "col" });
  if (sort === null) {
    header.textContent = text;
  } else {
    header.append(element("button", {
      type: "button",
      textContent: text,
      title: `sort by ${text}`,
      onclick: () => list({ sort, offset: 0 }),
    }));
  }
  header.dataset.sort = sort ?? "";
  return header;
});
byId("table").tHead.append(element("tr", {}, ...headers));

function list(change) {
  Object.assign(listed, change);
  for (const header of headers) {
    if (header.dataset.sort === listed.sort) {
      header.setAttribute("aria-sort", listed.sort === "pid" || listed.sort === "label"
        ? "ascending" : "descending");
    } else {
      header.removeAttribute("aria-sort");
    }
  }
  open();
}

const link = (pid) => pid === null || pid === undefined
  ? "–"
  : element("a", { href: `#process/${pid}`, textContent: pid });

function state(entry) {
  if (entry.exiting) {
    return "exiting";
  }
  if (entry.supervisor) {
    return "supervisor";
  }
  if (entry.running) {
    return "running";
  }
  if (entry.native) {
    return "native";
  }
  if (!entry.described) {
    return "–";
  }
  const waits = entry.described.waiting_in;
  return waits ? waits.split("::").pop() : "runnable";
}

function cells(entry) {
  const module = entry.described
    ? visible(entry.described.module_name ?? entry.described.module) : "–";
  const texts = {
    pid: link(entry.pid),
    label: visible(entry.label ?? "–"),
    state: state(entry),
    module,
    mailbox: count(entry.mailbox),
    memory: bytes(entry.described?.memory),
    cpu: time(entry.cpu_us),
    restarts: count(entry.restarts),
    links: count(entry.links),
    parent: link(entry.parent),
  };
  return columns.map(([key, , , className]) => element("td", { className }, texts[key]));
}

function processes(page) {
  const last = Math.min(listed.offset + page.processes.length, page.total);
  const first = Math.min(listed.offset + 1, last);
  byId("range").textContent = `${count(first)}–${count(last)} of ${count(page.total)}`;
  byId("previous").disabled = listed.offset === 0;
  byId("next").disabled = !page.more;
  const focused = document.activeElement?.closest?.("#table tbody a")?.getAttribute("href");
  byId("table").tBodies[0].replaceChildren(
    ...page.processes.map((entry) => element("tr", {}, ...cells(entry))));
  if (focused) {
    byId("table").querySelector(`tbody a[href="${CSS.escape(focused)}"]`)?.focus();
  }
}

byId("previous").onclick = () => list({ offset: Math.max(0, listed.offset - PAGE) });
byId("next").onclick = () => list({ offset: listed.offset + PAGE });
byId("filter-form").onsubmit = (event) => event.preventDefault();
let typing = 0;
byId("filter").oninput = () => {
  clearTimeout(typing);
  typing = setTimeout(() => list({ filter: byId("filter").value, offset: 0 }), 250);
};

// The tree. A node that stays keeps its element, so that a restart flashes where it is.

const nodes = new Map();

function nodeOf(key, kind) {
  let node = nodes.get(key);
  if (!node) {
    const box = element("span", { className: "node" });
    const name = element("b");
    const pid = element("a", { className: "weak" });
    const note = element("span", { className: "weak" });
    box.append(name, pid, note);
    const children = element("ul");
    node = { item: element("li", {}, box, children), box, name, pid, note, children, seen: null };
    nodes.set(key, node);
  }
  node.box.classList.toggle("supervisor", kind === "supervisor");
  return node;
}

function fill(node, name, pid, status, restarts) {
  const identity = `${pid} ${restarts}`;
  if (node.seen !== null && node.seen !== identity) {
    node.box.classList.remove("flash");
    void node.box.offsetWidth;
    node.box.classList.add("flash");
    node.item.dataset.flashes = Number(node.item.dataset.flashes ?? 0) + 1;
  }
  node.seen = identity;
  node.name.textContent = visible(name);
  node.pid.textContent = pid ?? "";
  if (pid) {
    node.pid.href = `#process/${pid}`;
  } else {
    node.pid.removeAttribute("href");
  }
  const notes = [];
  if (status && status !== "running") {
    notes.push(status);
  }
  if (restarts > 0) {
    notes.push(restarts === 1 ? "restarted once" : `restarted ${count(restarts)} times`);
  }
  node.note.textContent = notes.join(", ");
  node.box.classList.toggle("restarting", status === "restarting");
  node.box.classList.toggle("stopped", status === "stopped");
}

function place(list, items) {
  const wanted = new Set(items);
  for (const old of [...list.children]) {
    if (!wanted.has(old)) {
      old.remove();
    }
  }
  items.forEach((item, index) => {
    if (list.children[index] !== item) {
      list.insertBefore(item, list.children[index] ?? null);
    }
  });
}

function tree(told) {
  const supervisors = new Map(told.supervisors.map((one) => [one.pid, one]));
  const below = new Set(told.supervisors.flatMap((one) =>
    one.children.map((child) => child.pid).filter((pid) => supervisors.has(pid))));
  const used = new Set();
  const grow = (key, supervisor, node, depth) => {
    const items = supervisor.children.map((child, index) => {
      const own = `${key}/${child.name}#${supervisor.children.slice(0, index)
        .filter((other) => other.name === child.name).length}`;
      used.add(own);
      const inner = supervisors.get(child.pid);
      const item = nodeOf(own, inner ? "supervisor" : "worker");
      fill(item, child.name, child.pid, child.status, child.restarts);
      if (inner && depth < 64) {
        grow(own, inner, item, depth + 1);
      } else {
        place(item.children, []);
      }
      return item.item;
    });
    place(node.children, items);
  };
  const roots = told.supervisors.filter((one) => !below.has(one.pid)).map((one) => {
    const key = `root ${one.pid}`;
    used.add(key);
    const node = nodeOf(key, "supervisor");
    fill(node, one.label ?? "supervisor", one.pid, "running", 0);
    grow(key, one, node, 0);
    return node.item;
  });
  place(byId("tree-root"), roots);
  for (const key of nodes.keys()) {
    if (!used.has(key)) {
      nodes.delete(key);
    }
  }
  const nothing = "No process supervises others. The table has all processes.";
  byId("tree-note").textContent = roots.length === 0 ? nothing
    : told.more ? "There are more supervisors or children than are shown." : "";
}

// One process.

function section(title, ...content) {
  return element("section", {}, element("h3", { textContent: title }), ...content);
}

const links = (pids) => {
  const shown = element("dd");
  pids.slice(0, 100).forEach((pid, index) => shown.append(index ? ", " : "", link(pid)));
  if (pids.length === 0) {
    shown.append("–");
  } else if (pids.length > 100) {
    shown.append(` and ${count(pids.length - 100)} more`);
  }
  return shown;
};

function process(detail) {
  byId("process-title").textContent =
    `Process ${detail.pid}${detail.label ? `, ${visible(detail.label)}` : ""}`;
  byId("process-note").textContent = "";
  const facts = element("dl");
  const fact = (name, value) =>
    facts.append(element("dt", { textContent: name }), typeof value === "string"
      ? element("dd", { textContent: value }) : value);
  const described = detail.described;
  fact("state", described?.waiting_in ? `waits in ${described.waiting_in}` : state(detail));
  if (described) {
    fact("module", `${visible(described.module)} (${described.module_hash})`);
    fact("memory", bytes(described.memory));
  }
  fact("mailbox", `${count(detail.mailbox)} messages`);
  fact("CPU time", detail.cpu_us === null ? "less than a millisecond" : time(detail.cpu_us));
  fact("restarts", count(detail.restarts));
  fact("parent", links(detail.parent ? [detail.parent] : []));
  fact("linked to", links(detail.linked_to));
  fact("monitored by", links(detail.watchers));
  fact("names", detail.names.map(visible).join(", ") || "–");
  fact("groups", detail.groups.map(visible).join(", ") || "–");
  fact("output", element("dd", {}, element("a", {
    href: `#logs/${detail.pid}`,
    textContent: "what it prints from now on",
  })));
  const of = (usages) => {
    const made = element("table");
    table(made, usages.map(usage));
    return made;
  };
  const sections = [section("What it does", facts)];
  if (detail.children.length > 0) {
    const children = element("table");
    table(children, detail.children.map((child) => [
      cell(visible(child.name)), element("td", {}, link(child.pid)), cell(child.status),
      number(`${count(child.restarts)} restarts`)]));
    sections.push(section("Children", children));
  }
  if (detail.backtrace.length > 0) {
    sections.push(section("Backtrace", element("ol", { start: 0 },
      ...detail.backtrace.map((name) => element("li", { textContent: visible(name) })))));
  }
  if (detail.resources.length > 0) {
    sections.push(section("What it has", of(detail.resources)));
  }
  sections.push(section("Its account", of(detail.account)));
  byId("process-detail").replaceChildren(...sections);
}

// What changes something, if this page may.

const write = document.body.dataset.write;

async function change(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "X-Lunatic-Write": write }, body });
  const text = await answer.text();
  if (answer.ok) {
    return JSON.parse(text);
  }
  let why = text;
  try {
    why = JSON.parse(text).text;
  } catch {
    // It is a text already.
  }
  throw new Error(why);
}

function ask(text, yes) {
  const dialog = byId("question");
  byId("question-text").textContent = text;
  byId("question-yes").textContent = yes;
  return new Promise((resolve) => {
    byId("question-yes").onclick = () => dialog.close("yes");
    byId("question-no").onclick = () => dialog.close("");
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
    dialog.returnValue = "";
    dialog.showModal();
  });
}

function actions(pid) {
  if (!write) {
    byId("process-actions").replaceChildren();
    return;
  }
  const button = (text, question, path) => element("button", {
    type: "button",
    className: "danger",
    textContent: text,
    id: `action-${text.toLowerCase()}`,
    onclick: async () => {
      if (await ask(question, text)) {
        change(path).catch((error) => { byId("process-note").textContent = error.message; });
      }
    },
  });
  byId("process-actions").replaceChildren(
    button("Kill", `Kill process ${pid}?`, `/api/kill?pid=${pid}`),
    button("Shutdown", `Ask process ${pid} to end?`, `/api/exit?pid=${pid}&reason=shutdown`),
  );
}

// Modules.

function modules(told) {
  byId("modules-note").textContent = told.modules.length === 0
    ? "No module has a name." : "";
  const shown = told.modules.map((module) => {
    const versions = element("table");
    const row = (name, version) => [head(name), cell(version.hash.slice(0, 12)),
      number(`${count(version.processes)} processes`)];
    table(versions, [row("current", module.current)]
      .concat(module.old ? [row("old", module.old)] : []));
    const made = section(visible(module.module), versions);
    if (write) {
      const note = element("p", { role: "status" });
      const file = element("input", { type: "file", accept: ".wasm,.wat",
        "aria-label": "the new version" });
      made.append(element("div", { className: "actions" }, file, element("button", {
        type: "button",
        textContent: "Reload",
        onclick: async () => {
          if (!file.files[0]) {
            note.textContent = "Choose a file first.";
            return;
          }
          note.textContent = "reloading …";
          const path = `/api/reload?module=${encodeURIComponent(module.module)}`;
          try {
            const done = await change(path, file.files[0]);
            note.textContent = `${done.result}: ${count(done.processes.length)} processes`;
          } catch (error) {
            note.textContent = error.message;
          }
        },
      })), note);
    }
    made.dataset.module = module.module;
    return made;
  });
  // What somebody is filling in stays.
  const old = new Map([...byId("modules-list").children].map((one) => [one.dataset.module, one]));
  byId("modules-list").replaceChildren(...shown.map((one) => {
    const known = old.get(one.dataset.module);
    if (known && write) {
      known.querySelector("table").replaceWith(one.querySelector("table"));
      return known;
    }
    return one;
  }));
}

// What processes print, as it comes.

const MOST_LINES = 1000;
const MOST_CHARACTERS = 4096;
const lines = { begun: new Map(), waiting: [], paused: false };

function line(pid, text, className = "") {
  const shown = element("li", { className }, link(pid), " ", visible(text));
  lines.waiting.push(shown);
  if (lines.waiting.length > MOST_LINES) {
    lines.waiting.shift();
  }
}

function showLines() {
  if (lines.paused) {
    return;
  }
  const log = byId("log");
  const isAtEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 40;
  log.append(...lines.waiting.splice(0));
  while (log.children.length > MOST_LINES) {
    log.firstChild.remove();
  }
  if (isAtEnd) {
    scrollTo(0, document.documentElement.scrollHeight);
  }
}

// What comes in pieces is shown when its line ends, or is long.
function printed(pid, stderr, text) {
  const key = `${pid} ${stderr}`;
  const parts = ((lines.begun.get(key) ?? "") + text).split("\n");
  const rest = parts.pop();
  for (const part of parts) {
    line(pid, part.replace(/\r$/, ""), stderr ? "stderr" : "");
  }
  lines.begun.delete(key);
  if (rest.length > MOST_CHARACTERS) {
    line(pid, rest, stderr ? "stderr" : "");
  } else if (rest) {
    lines.begun.set(key, rest);
  }
}

function traced(told) {
  if (told.event === "printed") {
    printed(told.pid, told.stderr, told.text);
  } else if (told.event === "ended") {
    for (const stderr of [false, true]) {
      if (lines.begun.has(`${told.pid} ${stderr}`)) {
        printed(told.pid, stderr, "\n");
      }
    }
    line(told.pid, `has ended: ${told.reason}`, "weak");
  } else if (told.event === "lost") {
    line(null, `${count(told.count)} pieces were lost: there were too many`, "weak");
  }
  showLines();
}

byId("logs-pause").onclick = () => {
  lines.paused = !lines.paused;
  byId("logs-pause").setAttribute("aria-pressed", lines.paused);
  showLines();
};
byId("logs-clear").onclick = () => byId("log").replaceChildren();

function beginLogs(pid) {
  lines.begun.clear();
  lines.waiting = [];
  byId("log").replaceChildren();
  byId("logs-note").textContent = pid
    ? `What process ${pid} prints from now on.`
    : "What all processes print from now on.";
}

// Views and their streams of events.

const views = ["overview", "processes", "tree", "process", "modules", "logs", "nodes"];
let events = null;
let current = "";

function address() {
  const [view, pid] = location.hash.slice(1).split("/");
  if (!views.includes(view)) {
    return ["overview"];
  }
  return [view, pid];
}

function query(view, pid) {
  const parameters = new URLSearchParams({ view: view === "nodes" ? "overview" : view });
  if (view === "processes") {
    for (const [key, value] of Object.entries(listed)) {
      parameters.set(key, value);
    }
  }
  if (view === "process" || (view === "logs" && pid)) {
    parameters.set("pid", pid);
  }
  return parameters;
}

const handlers = {
  measurements: measured,
  processes,
  supervisors: tree,
  process,
  versions: modules,
  traced,
  error: (refusal) => {
    if (current === "process") {
      byId("process-note").textContent = refusal.text;
      byId("process-actions").replaceChildren();
    }
    if (current === "logs") {
      byId("logs-note").textContent = refusal.text;
    }
  },
};

function open() {
  const [view, pid] = address();
  events?.close();
  events = new EventSource(`/events?${query(view, pid)}`);
  const status = byId("state");
  events.onopen = () => {
    status.textContent = "live";
    status.classList.remove("lost");
  };
  events.onerror = () => {
    status.textContent = "the runtime does not answer";
    status.classList.add("lost");
  };
  events.onmessage = (event) => {
    const told = JSON.parse(event.data);
    handlers[told.type]?.(told);
  };
}

function go() {
  const [view, pid] = address();
  current = view;
  for (const name of views) {
    byId(name).hidden = name !== view;
  }
  for (const anchor of document.querySelectorAll("nav a")) {
    if (anchor.hash === `#${view}` || (view === "process" && anchor.hash === "#processes")) {
      anchor.setAttribute("aria-current", "page");
    } else {
      anchor.removeAttribute("aria-current");
    }
  }
  if (view === "process") {
    byId("process-title").textContent = `Process ${pid}`;
    byId("process-note").textContent = "";
    byId("process-detail").replaceChildren();
    actions(pid);
  }
  if (view === "logs") {
    beginLogs(pid);
  }
  document.title = `Lunatic: ${view}`;
  if (view === "processes") {
    list({});
  } else {
    open();
  }
}

// The token stays in the cookie, and neither in the address nor in the history.
history.replaceState(null, "", location.pathname + location.hash);
window.addEventListener("hashchange", () => {
  go();
  byId("main").focus({ preventScroll: true });
  scrollTo(0, 0);
});
go();
