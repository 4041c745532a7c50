// Sockets of stock socket.io-clients of several versions, with what they hear in a queue.
//
// What comes is taken in its order; nothing is dropped by looking for another event. A version and
// its choice of transports is a kind (KINDS); every session is held with each.

import { cleanup, must, same, until } from '../lib/checks.mjs';
import { npm } from '../lib/packages.mjs';
import { token } from '../lib/tokens.mjs';

const VERSIONS = { '4.8': 'socket.io-client', '4.0': 'socket.io-client-4.0', '3.1': 'socket.io-client-3.1' };

// `default` is what a client does by itself: it polls, then upgrades.
const TRANSPORTS = { polling: ['polling'], websocket: ['websocket'], default: undefined };

export const KINDS = Object.entries(VERSIONS).flatMap(([version, name]) =>
  Object.entries(TRANSPORTS).map(([transport, transports]) => ({
    name: `${version} ${transport}`,
    version,
    transport,
    transports,
    io: npm(name).io,
  })),
);

// The newest, over WebSocket, for what depends on no client.
export const NEWEST = KINDS.find(({ name }) => name === '4.8 websocket');

// How long something may take to be heard.
const HEARD_MS = 5_000;

// Options of a client that comes back by itself, soon.
export const COMES_BACK = { reconnection: true, reconnectionDelay: 30, reconnectionDelayMax: 60, randomizationFactor: 0 };

// Begins to connect. `where` has a `url`; `auth` replaces the token of `user`, without either nothing
// is brought along. The rest is the client's own options.
export async function dial(where, kind, user, { namespace = '', auth, ...options } = {}) {
  const brought = auth ?? (user === undefined ? undefined : { token: await token(user) });
  const socket = kind.io(where.url + namespace, {
    forceNew: true,
    reconnection: false,
    ...(kind.transports && { transports: kind.transports }),
    ...(brought && { auth: brought }),
    ...options,
  });
  return new Client(socket);
}

// Connects, and answers once it is connected.
export async function open(where, kind, user, options) {
  const client = await dial(where, kind, user, options);
  await client.connected();
  return client;
}

// Several of them in one room, each having heard of its own joining only.
export async function members(where, kind, room, ...users) {
  const all = [];
  for (const user of users) {
    const client = await open(where, kind, user);
    await client.join(room);
    all.push(client);
  }
  return all;
}

export class Client {
  #events = [];
  #states = [];
  #wanted = new Map();

  constructor(socket) {
    this.socket = socket;
    cleanup(() => socket.disconnect());
    socket.onAny((name, ...args) => this.#take(this.#events, { name, args }));
    socket.on('connect', () => this.#take(this.#states, { name: 'connect', id: socket.id, recovered: socket.recovered }));
    socket.on('disconnect', (reason) => this.#take(this.#states, { name: 'disconnect', reason }));
    socket.on('connect_error', (error) => this.#take(this.#states, { name: 'connect_error', error }));
  }

  #take(queue, what) {
    queue.push(what);
    this.#wanted.get(queue)?.();
  }

  // The first of a queue, once there is one.
  async #first(queue, what) {
    if (queue.length === 0) {
      let timer;
      const heard = new Promise((resolve) => this.#wanted.set(queue, resolve));
      const limit = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what} did not come within ${HEARD_MS} ms`)), HEARD_MS);
      });
      await Promise.race([heard, limit]);
      clearTimeout(timer);
      this.#wanted.delete(queue);
    }
    return queue.shift();
  }

  get id() {
    return this.socket.id;
  }

  // The transport in use.
  get transport() {
    return this.socket.io.engine.transport.name;
  }

  // It is on the transport that it stays on: while it changes, nobody but the heartbeat may miss it.
  async steady(kind) {
    const last = kind.transport === 'polling' ? 'polling' : 'websocket';
    await until(async () => this.transport === last, `its transport ${last}`);
  }

  // The next change of its state: connected, not any more, or not let in.
  state(what = 'connect') {
    return this.#first(this.#states, what);
  }

  async connected() {
    const state = await this.state();
    must(state.name === 'connect', () => `${state.name}: ${state.reason ?? state.error.message}`);
    return state;
  }

  // It is connected again, however often it found nobody there.
  async back() {
    for (;;) {
      const state = await this.state();
      if (state.name !== 'connect_error' || !/^(xhr poll|websocket) error$/.test(state.error.message)) {
        must(state.name === 'connect', () => `${state.name}: ${state.reason ?? state.error.message}`);
        return state;
      }
    }
  }

  // Its connection is over; the reason that the client gives.
  async disconnected() {
    const state = await this.state('disconnect');
    must(state.name === 'disconnect', () => `${state.name} instead of a disconnect`);
    return state.reason;
  }

  // It was not let in; the error.
  async refused() {
    const state = await this.state('connect_error');
    must(state.name === 'connect_error', () => `${state.name} instead of a connect_error`);
    return state.error;
  }

  async upgraded() {
    await until(() => this.transport === 'websocket', 'the upgrade');
  }

  // The next event, with all its arguments.
  event(what = 'an event') {
    return this.#first(this.#events, what);
  }

  // The first argument of the next event, which has to have this name.
  async expect(name) {
    const event = await this.event(name);
    must(event.name === name, () => `${name} expected, came ${event.name} ${JSON.stringify(event.args)}`);
    return event.args[0];
  }

  emit(name, ...args) {
    this.socket.emit(name, ...args);
    return this;
  }

  // Emits, and answers with what the acknowledgement brings.
  ask(name, ...args) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no acknowledgement of ${name} within ${HEARD_MS} ms`)), HEARD_MS);
      this.socket.emit(name, ...args, (...answer) => {
        clearTimeout(timer);
        resolve(answer.length === 1 ? answer[0] : answer);
      });
    });
  }

  // Joins a room, as it must be told; the number of members.
  async join(room, more = {}) {
    const answer = await this.ask('join_room', { room, ...more });
    const { memberCount, ...rest } = answer;
    same(rest, { success: true, room }, 'the acknowledgement');
    same(await this.expect('room_joined'), answer, 'room_joined');
    return memberCount;
  }

  async leave(room) {
    const answer = await this.ask('leave_room', { room });
    same(answer, { success: true, room }, 'the acknowledgement');
    same(await this.expect('room_left'), answer, 'room_left');
  }

  // Nothing but the answer to this `ping` may be on its way to us.
  async quiet() {
    this.emit('ping');
    await this.expect('pong');
  }
}
