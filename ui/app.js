"use strict";
/* The first page: the sources, live. It talks to the public API only, and shows text as text. */

const EVENTS_SHOWN = 15;
const REFRESH_MS = 250; // many changes make one request
const RETRY_MS = 1000;
const TICK_MS = 1000;

const byId = (id) => document.getElementById(id);
const rows = new Map(); // name → the row's parts
let sources = [];
let selected = null;
let stream = null;
let refreshTimer = null;
let retryTimer = null;
let goneSince = null;

function element(tag, text, className) {
    const made = document.createElement(tag);
    if (text !== undefined)
        made.textContent = text;
    if (className)
        made.className = className;
    return made;
}

function setText(node, text) {
    if (node.textContent !== text)
        node.textContent = text;
}

function duration(ms) {
    if (ms === null || ms === undefined)
        return "";
    for (const [unit, size] of [["d", 86400000], ["h", 3600000], ["m", 60000], ["s", 1000]]) {
        if (ms >= size)
            return `${Math.round(ms / size * 10) / 10} ${unit}`;
    }
    return `${Math.round(ms)} ms`;
}

function ago(at) {
    if (!at)
        return "never";
    const ms = Date.now() - Date.parse(at);
    return ms < 1500 ? "now" : `${duration(Math.floor(ms / 1000) * 1000)} ago`;
}

class Refused extends Error {
    constructor(status, text) {
        super(text);
        this.status = status;
    }
}

async function requestText(method, path) {
    const reply = await fetch(path, {method, headers: {Accept: "application/json"}, signal: AbortSignal.timeout(10000)});
    const text = await reply.text();
    if (reply.ok)
        return text;
    let problem = {};
    try {
        problem = JSON.parse(text);
    } catch {
        problem.detail = `status ${reply.status}`;
    }
    throw new Refused(reply.status, problem.hint ? `${problem.detail} (${problem.hint})` : problem.detail);
}

async function request(method, path) {
    return JSON.parse(await requestText(method, path));
}

/* Indents JSON without reading it: a number of twenty digits stays what it is. */
function indent(json) {
    let out = "";
    let depth = 0;
    const line = () => `\n${"  ".repeat(depth)}`;
    for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[{[]\s*[}\]]|[{}[\]:,]|[^\s{}[\]:,"]+/g)) {
        if (token === "{" || token === "[") {
            depth++;
            out += token + line();
        } else if (token === "}" || token === "]") {
            depth--;
            out += line() + token;
        } else if (token === ",") {
            out += token + line();
        } else {
            out += token === ":" ? ": " : token;
        }
    }
    return out;
}

function showTrouble(text) {
    byId("trouble").hidden = !text;
    setText(byId("trouble"), text || "");
}

function showLink(state, text) {
    byId("link").className = state;
    setText(byId("link"), text);
    document.body.classList.toggle("stale", state === "gone");
    for (const parts of rows.values())
        parts.toggle.disabled = parts.run.disabled = state === "gone";
}

/* ---- the table ---- */

async function act(name, verb, button) {
    button.disabled = true;
    try {
        await request("POST", `/api/v1/sources/${encodeURIComponent(name)}/${verb}`);
        showTrouble("");
    } catch (error) {
        showTrouble(`${verb} ${name}: ${error.message}`);
    }
    button.disabled = goneSince !== null;
    refreshSoon();
}

function makeRow(name) {
    const row = element("tr");
    const head = element("th", undefined);
    const parts = {
        row,
        name: element("button", name, "name"),
        status: element("span", "", "status"),
        data: element("td"),
        runs: element("td", "", "number"),
        errors: element("td", "", "number"),
        error: element("td", "", "error"),
        interval: element("td"),
        toggle: element("button"),
        run: element("button", "Run"),
        wanted: "",
    };
    head.scope = "row";
    parts.name.type = parts.toggle.type = parts.run.type = "button";
    parts.run.setAttribute("aria-label", `Run ${name} once`);
    parts.name.addEventListener("click", () => select(name));
    parts.toggle.addEventListener("click", () => act(name, parts.wanted === "running" ? "stop" : "start", parts.toggle));
    parts.run.addEventListener("click", () => act(name, "run", parts.run));
    head.append(parts.name);
    const status = element("td");
    status.append(parts.status);
    const actions = element("td", undefined, "actions");
    actions.append(parts.toggle, parts.run);
    row.append(head, status, parts.data, parts.runs, parts.errors, parts.error, parts.interval, actions);
    return parts;
}

function fillRow(parts, source) {
    parts.wanted = source.wanted;
    parts.status.className = `status ${source.status}`;
    setText(parts.status, source.status);
    parts.data.title = source.last_data_at || "";
    setText(parts.data, ago(source.last_data_at));
    setText(parts.runs, String(source.run_count));
    setText(parts.errors, String(source.error_count));
    parts.error.title = source.last_error || "";
    setText(parts.error, (source.last_error || "").split("\n").pop());
    setText(parts.interval, duration(source.interval_ms));
    const verb = source.wanted === "running" ? "Stop" : "Start";
    setText(parts.toggle, verb);
    parts.toggle.setAttribute("aria-label", `${verb} ${source.name}`);
}

function showSources() {
    const names = new Set(sources.map((source) => source.name));
    for (const [name, parts] of rows) {
        if (!names.has(name)) {
            parts.row.remove();
            rows.delete(name);
        }
    }
    const body = byId("sources").tBodies[0];
    sources.forEach((source, index) => {
        let parts = rows.get(source.name);
        if (!parts) {
            parts = makeRow(source.name);
            rows.set(source.name, parts);
        }
        fillRow(parts, source);
        if (body.rows[index] !== parts.row)
            body.insertBefore(parts.row, body.rows[index] || null);
    });
    byId("sources").hidden = sources.length === 0;
    byId("nothing").hidden = sources.length !== 0;
}

/* ---- one source ---- */

const FACTS = [
    ["kind", (s) => s.kind],
    ["description", (s) => s.description],
    ["status", (s) => `${s.status}, wanted ${s.wanted}`],
    ["process", (s) => s.pid ? String(s.pid) : ""],
    ["code version", (s) => s.code_version ? String(s.code_version) : ""],
    ["last run", (s) => s.last_run_at],
    ["last data", (s) => s.last_data_at],
    ["last error", (s) => s.last_error ? `${s.last_error_at || ""} ${s.last_error}` : ""],
];

function showFacts(source) {
    const parts = [];
    for (const [label, value] of FACTS) {
        const text = value(source);
        if (text)
            parts.push(element("dt", label), element("dd", text));
    }
    byId("facts").replaceChildren(...parts);
}

async function showDetail() {
    const name = selected;
    const source = sources.find((one) => one.name === name);
    byId("detail").hidden = !source;
    if (!source)
        return;
    setText(byId("detail-title"), name);
    showFacts(source);
    const data = await requestText("GET", `/api/v1/sources/${encodeURIComponent(name)}/data?n=1`);
    if (selected !== name)
        return;
    setText(byId("datum"), data === "[]" ? "none yet" : indent(data));
}

function select(name) {
    selected = name;
    byId("detail").hidden = false;
    showDetail().catch(fail);
    byId("detail").scrollIntoView({block: "nearest"});
}

/* ---- what changes ---- */

function addEvent(event) {
    const line = element("li", `${event.at.slice(11, 19)}  ${event.what}  ${event.kind}/${event.id}  revision ${event.revision}`);
    if (event.who)
        line.textContent += `  by ${event.who}`;
    byId("events").prepend(line);
    while (byId("events").children.length > EVENTS_SHOWN)
        byId("events").lastChild.remove();
}

async function refresh() {
    sources = await request("GET", "/api/v1/sources");
    showSources();
    if (selected)
        await showDetail();
}

function refreshSoon() {
    if (refreshTimer)
        return;
    refreshTimer = setTimeout(() => {
        refreshTimer = null;
        refresh().catch(fail);
    }, REFRESH_MS);
}

/* ---- the connection: it may end at any moment, and comes back by itself ---- */

function fail(error) {
    if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
        if (stream)
            stream.close();
        showLink("gone", "not signed in");
        showTrouble("This browser is not signed in any more. In a terminal: holdfast token link");
        return;
    }
    if (error instanceof Refused) {
        showTrouble(error.message);
        return;
    }
    lose();
}

function lose() {
    if (stream)
        stream.close();
    stream = null;
    goneSince = goneSince || new Date();
    showLink("gone", `the daemon is gone since ${goneSince.toLocaleTimeString()}; what you see is from before. Trying again…`);
    if (!retryTimer)
        retryTimer = setTimeout(connect, RETRY_MS);
}

async function connect() {
    retryTimer = null;
    try {
        const status = await request("GET", "/api/v1/status");
        setText(byId("about"), `${status.version} · ${status.data} · process ${status.pid}`);
        openStream(status.revision);
        await refresh();
        goneSince = null;
        showTrouble("");
        showLink("live", "live");
    } catch (error) {
        fail(error);
    }
}

function openStream(revision) {
    const opened = new EventSource(`/api/v1/events?since=${revision}`);
    stream = opened;
    opened.onmessage = (message) => {
        addEvent(JSON.parse(message.data));
        refreshSoon();
    };
    opened.addEventListener("resync", refreshSoon);
    opened.onerror = () => {
        if (stream === opened)
            lose();
    };
}

byId("close").addEventListener("click", () => {
    selected = null;
    byId("detail").hidden = true;
});
setInterval(() => {
    for (const source of sources) {
        const parts = rows.get(source.name);
        if (parts)
            setText(parts.data, ago(source.last_data_at));
    }
}, TICK_MS);
connect();
