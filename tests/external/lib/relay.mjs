// A TCP relay between a client and a broker: where a connection can be cut without either side
// having wished it, and where another broker can stand behind the same address.

import { once } from 'node:events';
import net from 'node:net';

import { cleanup, until } from './checks.mjs';

const LASTING_MS = 200;

// Relays to this broker from a port of its own, until the check is over. What it answers has a `url`
// and may stand for the broker where only that is used.
export async function relay(broker) {
  const it = new Relay(broker);
  await it.listening();
  cleanup(() => it.close());
  return it;
}

class Relay {
  #server = net.createServer((near) => this.#carry(near));
  #pairs = new Map(); // of two sockets, to the time since when they are one
  #behind;
  #shut = false;
  #refused = 0;

  constructor(broker) {
    this.#behind = broker;
  }

  async listening() {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
  }

  #carry(near) {
    near.on('error', () => {});
    if (this.#shut) {
      this.#refused += 1;
      near.destroy();
      return;
    }
    const { hostname, port } = new URL(this.#behind.url);
    const far = net.connect(Number(port), hostname);
    const pair = [near, far];
    this.#pairs.set(pair, Date.now());
    const end = () => {
      this.#pairs.delete(pair);
      pair.forEach((socket) => socket.destroy());
    };
    far.on('error', end);
    pair.forEach((socket) => socket.setNoDelay().on('close', end));
    near.pipe(far);
    far.pipe(near);
  }

  // Waits for a connection that lasts: a WebSocket, or a poll that hangs.
  async lasting() {
    await until(
      () => [...this.#pairs.values()].some((since) => Date.now() - since > LASTING_MS),
      'a connection that lasts',
    );
  }

  // Cuts every connection and takes no new one before `reopen`.
  cut() {
    this.#shut = true;
    for (const pair of this.#pairs.keys()) pair.forEach((socket) => socket.destroy());
  }

  // The same on the client's side alone: the broker hears nothing of it, and is not read any more.
  vanish() {
    this.#shut = true;
    for (const [near, far] of this.#pairs.keys()) {
      near.removeAllListeners('close').unpipe(far);
      near.on('error', () => {}).destroy();
      far.unpipe(near);
      far.pause();
    }
  }

  // Waits until it has refused so many, having been cut.
  async refusing(count) {
    await until(() => this.#refused >= count, () => `${count} refused, only ${this.#refused}`);
  }

  // Takes connections again, and leads them to this broker if one is given.
  reopen(broker = this.#behind) {
    this.#behind = broker;
    this.#shut = false;
    this.#refused = 0;
  }

  close() {
    this.cut();
    this.#server.close();
  }
}
