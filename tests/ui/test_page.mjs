/* The first page in a real browser, over a real daemon. Prints TAP. */
import {spawn, execFileSync} from "node:child_process";
import {mkdtempSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {dirname, join, resolve} from "node:path";
import {fileURLToPath} from "node:url";
import {chromium} from "playwright-core";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const binary = process.env.HOLDFAST_BINARY || join(root, "build/holdfast");
const folder = mkdtempSync(join(tmpdir(), "holdfast-ui-"));
const data = join(folder, "data");
const hostile = `<img src=x onerror="document.title='taken'">`;
const patience = {timeout: 60000};
const tests = [];
const test = (name, body) => tests.push({name, body});

const holdfast = (...words) => execFileSync(binary, ["--data", data, ...words], {encoding: "utf8"});

/* Starts the daemon, on the port that an earlier one had, if any. */
function serve(port = 0) {
    return new Promise((done, failed) => {
        const daemon = spawn(binary, ["--data", data, "serve", "--listen", `127.0.0.1:${port}`], {stdio: ["ignore", "pipe", "ignore"]});
        daemon.stdout.on("data", (text) => {
            const address = /http:\/\/127\.0\.0\.1:(\d+)/.exec(text);
            if (address)
                done({daemon, address: address[0], port: Number(address[1])});
        });
        daemon.on("exit", (status) => failed(new Error(`the daemon ended with ${status}`)));
    });
}

const kill = (running) => new Promise((done) => {
    running.daemon.on("exit", done);
    running.daemon.kill("SIGKILL");
});

function check(condition, text) {
    if (!condition)
        throw new Error(text);
}

const row = (page, name) => page.locator("#sources tbody tr").filter({has: page.getByRole("button", {name, exact: true})});
const runs = async (page, name) => Number(await row(page, name).locator("td.number").first().textContent());
const until = async (condition, what) => {
    const end = Date.now() + patience.timeout;
    while (!await condition()) {
        check(Date.now() < end, `waited in vain for ${what}`);
        await new Promise((done) => setTimeout(done, 50));
    }
};

test("without signing in nothing is shown", async (it) => {
    const page = await it.browser.newPage();
    const reply = await page.goto(it.running.address);
    check(reply.status() === 401 || await page.getByText("sign").first().isVisible(), "the page asks to sign in");
    check(!(await page.content()).includes("ticking"), "no source is shown");
    await page.close();
});

test("a link signs in, once", async (it) => {
    const link = holdfast("token", "link").trim();
    await it.page.goto(link, {waitUntil: "commit"});
    await row(it.page, "ticking").waitFor(patience);
    const cookies = await it.context.cookies();
    check(cookies.length === 1 && cookies[0].httpOnly && cookies[0].sameSite === "Strict", "the cookie is HttpOnly and strict");
    const other = await it.browser.newContext();
    const again = await (await other.newPage()).goto(link, {waitUntil: "commit"});
    check(again.status() >= 400, "the second use is refused");
    await other.close();
});

test("the table is live", async (it) => {
    const before = await runs(it.page, "ticking");
    await until(async () => await runs(it.page, "ticking") > before + 1, "two more runs");
});

test("names and errors are text, never markup", async (it) => {
    await row(it.page, hostile).waitFor(patience);
    await until(async () => (await row(it.page, hostile).textContent()).includes("<script>"), "the error's text");
    check(await it.page.locator("img").count() === 0, "no element was made of a name");
    check(await it.page.title() !== "taken", "no code of a name ran");
});

test("a click shows the newest datum", async (it) => {
    await it.page.getByRole("button", {name: "ticking", exact: true}).click();
    await until(async () => (await it.page.locator("#datum").textContent()).includes('"big": 90071992547409931'), "the datum, number unrounded");
});

test("stop and start do what they say", async (it) => {
    await row(it.page, "ticking").getByRole("button", {name: /stop/i}).click();
    await until(async () => (await row(it.page, "ticking").textContent()).includes("stopped"), "stopped");
    check(JSON.parse(holdfast("source", "show", "ticking", "-o", "json")).wanted === "stopped", "it is wanted stopped");
    await row(it.page, "ticking").getByRole("button", {name: /start/i}).click();
    await until(async () => (await row(it.page, "ticking").textContent()).includes("running"), "running");
});

test("a daemon that is gone is said, and its return is noticed", async (it) => {
    await kill(it.running);
    await until(async () => await it.page.locator("body.stale").count() === 1, "the page to say so");
    it.running = await serve(it.running.port);
    await until(async () => (await it.page.content()).includes("sign") || await it.page.locator("body.stale").count() === 0,
        "the page to notice");
});

test("no script failed and nothing broke the content security policy", async (it) => {
    check(it.complaints.length === 0, it.complaints.join("\n"));
});

async function main() {
    writeFileSync(join(folder, "ticking.py"), "n = 0\ndef fetch_data():\n    global n\n    n += 1\n    return {'n': n, 'big': 90071992547409931}\n");
    writeFileSync(join(folder, "failing.py"), "def fetch_data():\n    raise ValueError('<script>document.title=\"taken\"</script>')\n");
    holdfast("source", "add", "ticking", "--kind", "python", "--interval", "200ms", "--code", join(folder, "ticking.py"), "--start");
    holdfast("source", "add", hostile.replaceAll("/", ""), "--kind", "python", "--interval", "200ms", "--code", join(folder, "failing.py"), "--start");
    const it = {running: await serve(), complaints: []};
    it.browser = await chromium.launch({executablePath: "/usr/bin/chromium", args: [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync"]});
    it.context = await it.browser.newContext();
    it.page = await it.context.newPage();
    it.page.on("pageerror", (error) => it.complaints.push(error.message));
    it.page.on("console", (message) => {
        if (/Content Security Policy/.test(message.text()))
            it.complaints.push(message.text());
    });
    console.log(`1..${tests.length}`);
    let failures = 0;
    for (const [index, {name, body}] of tests.entries()) {
        try {
            await body(it);
            console.log(`ok ${index + 1} - ${name}`);
        } catch (error) {
            failures++;
            console.log(`# ${error.message.replaceAll("\n", "\n# ")}`);
            console.log(`not ok ${index + 1} - ${name}`);
        }
    }
    await it.browser.close();
    await kill(it.running);
    rmSync(folder, {recursive: true, force: true});
    process.exit(failures ? 1 : 0);
}

main().catch((error) => {
    console.log(`Bail out! ${error.stack}`);
    process.exit(1);
});
