// Debian's Chromium, started without a display and steered by playwright-core.

import { execFileSync } from 'node:child_process';

import { cleanup, same, until } from '../lib/checks.mjs';
import { chromium } from '../lib/packages.mjs';

const FLAGS = [
  // The sandbox cannot be had as root, nor in most containers.
  '--no-sandbox',
  '--disable-gpu',
  // Containers give /dev/shm a few megabytes only.
  '--disable-dev-shm-usage',
  // It talks to the page and the broker, and to nobody else.
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-default-apps',
  '--disable-domain-reliability',
  '--disable-sync',
  '--no-first-run',
  '--no-default-browser-check',
  '--no-proxy-server',
];

// Starts it; it ends with this process.
export async function startBrowser() {
  const executablePath = execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim();
  const browser = await chromium().launch({ executablePath, args: FLAGS, headless: true });
  return {
    // A fresh tab on this page, with cookies of its own; gone when the check is over.
    async tab(url) {
      const own = await browser.newContext();
      cleanup(() => own.close());
      const page = await own.newPage();
      await page.goto(url);
      return new Tab(page);
    },
    // A page that has code of its own; gone when the check is over.
    async visit(url) {
      const own = await browser.newContext();
      cleanup(() => own.close());
      const page = await own.newPage();
      const visit = new Visit(page);
      await page.goto(url);
      return visit;
    },
    close: () => browser.close(),
  };
}

// A tab; what it does concerns the connection that it dialled last.
class Tab {
  #page;

  constructor(page) {
    this.#page = page;
  }

  // Dials; the next event is `{ open }` or `{ code }`.
  dial(url, protocols = []) {
    return this.#page.evaluate(
      ([to, list]) => {
        globalThis.last = dial(to, list); // the page's own function
        return last.next();
      },
      [url, protocols],
    );
  }

  // Sends an object as JSON, or a text as it is, on the connection that was dialled last.
  send(message) {
    const text = typeof message === 'string' ? message : JSON.stringify(message);
    return this.#page.evaluate((frame) => last.socket.send(frame), text);
  }

  // The next event of that connection: `{ text }` or `{ code, reason, wasClean }`.
  next() {
    return this.#page.evaluate(() => last.next());
  }

  // The next frame, parsed.
  async message() {
    const event = await this.next();
    if (event.text === undefined) throw new Error(`no frame but ${JSON.stringify(event)}`);
    return Object.defineProperty(JSON.parse(event.text), 'text', { value: event.text });
  }

  async ask(message) {
    await this.send(message);
    return this.message();
  }

  // Closes from the page's side.
  close(code, reason) {
    return this.#page.evaluate(([c, r]) => last.socket.close(c, r), [code, reason]);
  }

  // Sets a cookie as a script of the page would.
  cookie(text) {
    return this.#page.evaluate((value) => (document.cookie = value), text);
  }
}

// A page whose own code does the talking: what it logged, what it shows, and its code to be called.
class Visit {
  // The lines of its console, the oldest first.
  log = [];
  #page;

  constructor(page) {
    this.#page = page;
    page.on('console', (line) => this.log.push(line.text()));
    page.on('pageerror', (error) => this.log.push(`error: ${error.message}`));
  }

  // Waits until its console has exactly these lines.
  async logs(...lines) {
    await until(() => this.log.length >= lines.length, () => `${lines.length} lines, only ${this.log.join(' / ')}`);
    same(this.log, lines, 'console');
  }

  // Waits until so many elements are there; what they say.
  async shows(selector, count) {
    const texts = () => this.#page.locator(selector).allTextContents();
    await until(async () => (await texts()).length >= count, () => `${count} of ${selector}`);
    const said = await texts();
    same(said.length, count, `elements ${selector}`);
    return said;
  }

  // Runs a function of the test among the page's own.
  run(code, argument) {
    return this.#page.evaluate(code, argument);
  }
}
