// Starts `runner serve` and a browser for the tests, and watches both.
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const here = path.dirname(new URL(import.meta.url).pathname);
export const runnerBin = path.resolve(process.env.RUNNER_BIN ?? path.join(here, "../../bin/runner"));
export const token = "write-token-of-the-page-tests";
const browserBin = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((p) => existsSync(p));

/** missing says what the tests lack; "" = nothing. */
export function missing() {
  if (!existsSync(runnerBin)) return `there is no ${runnerBin}: make build`;
  if (!browserBin || !existsSync(browserBin)) return "there is no Chromium: apt-get install chromium, or set CHROMIUM";
  return "";
}

const run = promisify(execFile);

/** Site is a folder with data, a server over its state, and a browser. */
export class Site {
  constructor() {
    this.dir = mkdtempSync(path.join(tmpdir(), "page-test-"));
    this.trouble = []; // what must not happen in any page
  }

  file(name, text) {
    const p = path.join(this.dir, name);
    mkdirSync(path.dirname(p), { recursive: true });
    writeFileSync(p, text);
    return p;
  }

  /** runner runs a command in the folder. */
  runner(...args) {
    return run(runnerBin, args, { cwd: this.dir, maxBuffer: 1 << 24 });
  }

  async start() {
    this.server = spawn(runnerBin, ["serve", "--addr", "127.0.0.1:0", "--data-root", this.dir, "--save-root", this.dir], {
      cwd: this.dir,
      env: { ...process.env, RUNNER_TOKEN: token },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let log = "";
    this.server.stderr.on("data", (d) => {
      log += d;
      this.loginURL ??= /https?:\/\/\S*\/login\?code=\S+/.exec(log)?.[0];
    });
    this.url = await new Promise((done, fail) => {
      let out = "";
      this.server.stdout.on("data", (d) => {
        out += d;
        const m = /Serving .* on (http:\S+)/.exec(out);
        if (m) done(m[1]);
      });
      this.server.on("exit", (code) => fail(new Error(`serve ended with ${code}: ${log}`)));
    });
    this.browser = await chromium.launch({ executablePath: browserBin, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  }

  /** open makes a page that tells of everything that must not happen. */
  async open(options = {}) {
    const { signedIn = false, expected = () => false, ...more } = options;
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 900 }, ...more });
    context.setDefaultTimeout(60_000);
    const page = await context.newPage();
    const tell = (what) => expected(what) || this.trouble.push(what);
    page.on("console", (m) => m.type() === "error" && tell(`console: ${m.text()} ${m.location().url}`));
    page.on("pageerror", (e) => tell(`exception: ${e.stack}`));
    page.on("dialog", (d) => {
      tell(`dialog: ${d.message()}`);
      void d.dismiss();
    });
    page.on("request", (r) => {
      const to = new URL(r.url());
      if (to.protocol !== "blob:" && to.origin !== new URL(this.url).origin) tell(`request to ${r.url()}`);
    });
    await page.exposeFunction("tellViolation", (v) => tell(`policy: ${v}`));
    if (signedIn) {
      const res = await context.request.post(`${this.url}/api/v1/login`, { data: { token }, headers: { Origin: this.url } });
      if (!res.ok()) throw new Error(`login: ${res.status()} ${await res.text()}`);
    }
    await page.addInitScript(() => {
      addEventListener("securitypolicyviolation", (e) => window.tellViolation(`${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}`));
    });
    return page;
  }

  async go(page, place) {
    await page.goto(`${this.url}/#/${place}`);
  }

  async stop() {
    await this.browser?.close();
    if (this.server && this.server.exitCode === null) {
      this.server.removeAllListeners("exit");
      const gone = new Promise((done) => this.server.once("exit", done));
      this.server.kill("SIGTERM");
      await gone;
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}

const shots = process.env.SHOTS ?? path.join(here, "shots");

/** shot keeps a picture of the page for people to look at: in shots, or where SHOTS says. */
export async function shot(page, name) {
  await page.screenshot({ path: path.join(shots, `${name}.png`), fullPage: true });
}
