// Starts the broker as an operator would, and stops it as a supervisor would.
//
// `shardwire serve --config FILE` with WEBSOCKET_PORT=0, its address read from the line
// `listening on http://HOST:PORT` (or https) on standard error; SIGTERM to its pid at the end, and the
// exit status must be 0. Every broker started here is gone when this process is, whatever happens.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { binary } from './packages.mjs';
import { toml } from './toml.mjs';

// The secret of every broker and token of these tests.
export const SECRET = 'a secret of the tests, at least 32 bytes long';
// The key of its HTTP API.
export const API_KEY = 'an-api-key-of-the-tests';

const START_LIMIT_MS = 15_000;
const STOP_LIMIT_MS = 20_000;
const LOG_BYTES_MAX = 1 << 20;

const running = new Set();
const folders = new Set();
process.on('exit', () => {
  running.forEach((child) => child.kill('SIGKILL'));
  folders.forEach((folder) => rmSync(folder, { recursive: true }));
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

// What the tests set unless they set it otherwise: loopback, no bound on connections from there,
// and a drain that does not keep a test waiting.
const DEFAULTS = {
  server: { host: '127.0.0.1', shards: 2, max_connections_per_ip: 0, drain_ms: 500 },
  api: { key: API_KEY },
};

// The defaults with `settings` on top; a section given as null is left out.
export function configuration(settings = {}) {
  const merged = { ...DEFAULTS, ...settings };
  for (const section of Object.keys(DEFAULTS)) {
    const own = settings[section];
    if (own === null) delete merged[section];
    else merged[section] = { ...DEFAULTS[section], ...own };
  }
  return toml(merged);
}

// Starts a broker with these settings (an object of sections) and answers once it listens.
export async function startBroker(settings = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), 'shardwire-test-'));
  folders.add(folder); // to the end, for the file is read again at SIGHUP
  const file = path.join(folder, 'shardwire.toml');
  writeFileSync(file, configuration(settings));
  return startWithFile(file);
}

// The same with a configuration file that is already there.
export async function startWithFile(file) {
  const child = spawn(binary, ['serve', '--config', file], {
    env: { ...process.env, WEBSOCKET_PORT: '0', JWT_SECRET: SECRET },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const broker = new Broker(child, file);
  await broker.listening();
  return broker;
}

// A running broker.
class Broker {
  #child;
  #file;
  #log = '';
  #exited;

  constructor(child, file) {
    this.#child = child;
    this.#file = file;
    running.add(child);
    // Resolves with a word for how it ended; never rejects, so nobody has to be listening.
    this.#exited = new Promise((resolve) => {
      child.on('error', (error) => resolve(`could not be started: ${error.message}`));
      child.on('close', (code, signal) => resolve(signal ?? `exit status ${code}`));
    });
    this.#exited.then(() => running.delete(child));
  }

  // Waits for the line with the address.
  async listening() {
    const address = new Promise((resolve) => {
      this.#child.stderr.setEncoding('utf8').on('data', (text) => {
        if (this.#log.length < LOG_BYTES_MAX) this.#log += text;
        const line = /listening on (https?:\/\/[^\s\u001b"]+)/.exec(this.#log);
        if (line) resolve(line[1]);
      });
    });
    const failed = this.#exited.then((how) => {
      throw new Error(`${how}\n${this.log}`);
    });
    failed.catch(() => {});
    this.url = await limited(Promise.race([address, failed]), START_LIMIT_MS, () => {
      this.#child.kill('SIGKILL');
      return `no line "listening on" within ${START_LIMIT_MS} ms\n${this.log}`;
    });
  }

  get pid() {
    return this.#child.pid;
  }

  // The end of what it logged.
  get log() {
    return this.#log.slice(-4000);
  }

  // Has it read other settings; answers once they are in force.
  async reload(settings) {
    writeFileSync(this.#file, configuration(settings));
    const from = this.#log.length;
    this.#child.kill('SIGHUP');
    const said = () => /(not )?reloaded: .*/.exec(this.#log.slice(from))?.[0];
    const end = Date.now() + START_LIMIT_MS;
    while (!said() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
    if (!said()?.startsWith('reloaded')) throw new Error(`${said()}\n${this.log}`);
  }

  // The address of a WebSocket endpoint.
  ws(path = '/ws') {
    return this.url.replace('http', 'ws') + path;
  }

  // Tells it to shut down, without waiting.
  terminate() {
    this.#child.kill('SIGTERM');
  }

  // Waits for its end, which must be exit status 0.
  async ended() {
    const how = await limited(this.#exited, STOP_LIMIT_MS, () => {
      this.#child.kill('SIGKILL');
      return `still running ${STOP_LIMIT_MS} ms after SIGTERM\n${this.log}`;
    });
    if (how !== 'exit status 0') throw new Error(`the broker ended with ${how}\n${this.log}`);
  }

  async stop() {
    this.terminate();
    await this.ended();
  }
}

// `promise`, or after `ms` an error with the text that `late` gives.
async function limited(promise, ms, late) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(late())), ms);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

// Runs `shardwire` with other arguments to its end: what it printed, or an error with why not.
export async function shardwire(...args) {
  const child = spawn(binary, args, {
    env: { ...process.env, JWT_SECRET: SECRET },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (text) => (out += text));
  child.stderr.on('data', (text) => (err += text));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`shardwire ${args[0]}: exit status ${code}: ${err}`);
  return out.trim();
}
