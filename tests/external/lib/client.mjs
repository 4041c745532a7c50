// One connection of a user of the npm `ws` client, with its frames in a queue.
//
// A frame is `{ text, binary, json }`: the text as it came, for what must be right byte for byte, and
// parsed. Frames are taken in their order; nothing is dropped by looking for another one.

import { once } from 'node:events';

import { cleanup, must } from './checks.mjs';
import { WebSocket } from './packages.mjs';

const Socket = WebSocket();

// How a token is brought along at connect (protocols.md section 1).
export const CARRIERS = {
  query: (token) => ({ query: `?token=${encodeURIComponent(token)}` }),
  header: (token) => ({ headers: { Authorization: `Bearer ${token}` } }),
  cookie: (token) => ({ headers: { Cookie: `theme=dark; token=${token}` } }),
  subprotocol: (token) => ({ protocols: ['bearer', token] }),
};

// Connects and answers when the upgrade has succeeded; see `attempt` for the options.
export async function connect(broker, options = {}) {
  const client = attempt(broker, options);
  await client.opened;
  return client;
}

// Begins to connect. Options: path, token with its carrier, and what `ws` takes (headers, protocols,
// origin, perMessageDeflate, autoPong…).
export function attempt(broker, options = {}) {
  const { path = '/ws', token, carrier = 'query', ...own } = options;
  const brought = token === undefined ? {} : CARRIERS[carrier](token);
  const { protocols, headers, ...rest } = own;
  const socket = new Socket(
    broker.ws(path) + (brought.query ?? ''),
    protocols ?? brought.protocols ?? [],
    {
      perMessageDeflate: false,
      headers: { ...brought.headers, ...headers },
      ...rest,
    },
  );
  return new Client(socket);
}

// The HTTP status with which an upgrade is refused; 101 if it is not.
export async function refusal(broker, options) {
  const client = attempt(broker, options);
  return client.opened.then(
    () => 101,
    (error) => error.status ?? error.message,
  );
}

class Client {
  #frames = [];
  #wanted = [];

  constructor(socket) {
    this.socket = socket;
    cleanup(() => socket.terminate());
    socket.on('message', (bytes, binary) => this.#take({ text: bytes.toString(), binary }));
    socket.on('error', (error) => (this.error = error));
    this.opened = new Promise((resolve, reject) => {
      socket.on('open', resolve);
      // The answer's extensions as they stand there, with their parameters.
      socket.on('upgrade', ({ headers }) => (this.extensions = headers['sec-websocket-extensions'] ?? ''));
      socket.on('unexpected-response', (request, response) => {
        reject(Object.assign(new Error(`HTTP ${response.statusCode}`), { status: response.statusCode }));
        request.destroy();
      });
      socket.on('error', reject);
    });
    this.opened.catch(() => {});
    // Resolves with `{ code, reason }`; what waits for a frame hears of it too.
    this.closed = once(socket, 'close').then(([code, reason]) => {
      this.end = { code, reason: reason.toString() };
      this.#wanted.splice(0).forEach(({ reject }) => reject(this.#over()));
      return this.end;
    });
    this.closed.catch(() => {});
  }

  #take(frame) {
    const waiting = this.#wanted.shift();
    if (waiting) waiting.resolve(frame);
    else this.#frames.push(frame);
  }

  #over() {
    return new Error(`closed with ${this.end.code} "${this.end.reason}" instead of a frame`);
  }

  // The next frame as it came.
  frame() {
    if (this.#frames.length > 0) return Promise.resolve(this.#frames.shift());
    if (this.end) return Promise.reject(this.#over());
    return new Promise((resolve, reject) => this.#wanted.push({ resolve, reject }));
  }

  // The next frame, parsed, with its `text` beside.
  async next() {
    const { text, binary } = await this.frame();
    must(!binary, `a binary frame: ${text}`);
    return Object.defineProperty(JSON.parse(text), 'text', { value: text });
  }

  // The next frame, which has to have this `type`.
  async expect(type) {
    const message = await this.next();
    must(message.type === type, () => `${type} expected, came ${message.text.slice(0, 300)}`);
    return message;
  }

  // Sends an object as JSON, or a string or bytes as they are.
  send(message, options) {
    const raw = typeof message === 'string' || Buffer.isBuffer(message);
    this.socket.send(raw ? message : JSON.stringify(message), options);
    return this;
  }

  // Sends, and answers with the next frame.
  ask(message, options) {
    this.send(message, options);
    return this.next();
  }

  // Subscribes; in force when this resolves.
  async subscribe(...patterns) {
    for (const topic of patterns) {
      this.send({ type: 'subscribe', topic });
      const reply = await this.expect('subscribed');
      must(reply.topic === topic, () => `subscribed to ${topic}, told ${reply.text}`);
    }
    return this;
  }

  // Publishes and waits for the word that it was done.
  async publish(topic, data, more = {}) {
    this.send({ type: 'message', topic, data, id: 'p', ...more });
    return this.expect('published');
  }

  // Nothing but the answer to this ping may be on its way to us.
  async quiet() {
    this.send({ type: 'ping' });
    await this.expect('pong');
  }

  // A close handshake of our own.
  async close(code = 1000) {
    this.socket.close(code);
    return this.closed;
  }

  // The closing, which has to have this code.
  async closes(code) {
    const end = await this.closed;
    must(end.code === code, `closed with ${end.code} "${end.reason}", not ${code}`);
    return end;
  }
}
