// A WebSocket client made of bytes: for what no library would send, and for one that never answers.
//
// It makes the upgrade and frames (RFC 6455 section 5.2, masked) and reads frames; it never sends a
// pong, a close or anything else of its own.

import { randomBytes } from 'node:crypto';
import net from 'node:net';

import { cleanup, must } from './checks.mjs';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

// Connects and answers when the upgrade was answered with 101. `early` goes out with the request.
export async function rawConnect(broker, path, early = Buffer.alloc(0)) {
  const { hostname, port } = new URL(broker.url);
  const raw = new Raw(net.connect(port, hostname));
  const request =
    `GET ${path} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Version: 13\r\n\r\n`;
  raw.socket.write(Buffer.concat([Buffer.from(request), early]));
  const head = await raw.head();
  must(head.startsWith('HTTP/1.1 101 '), head);
  return raw;
}

class Raw {
  #bytes = Buffer.alloc(0);
  #wake = () => {};
  #ended = false;

  constructor(socket) {
    this.socket = socket;
    cleanup(() => socket.destroy());
    socket.on('data', (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    // A reset is an end as good as another to those who wait for one.
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  // The first `parse(bytes)` that answers something: `{ value, used }`; undefined at the end.
  async #read(parse) {
    for (;;) {
      const found = parse(this.#bytes);
      if (found) {
        this.#bytes = this.#bytes.subarray(found.used);
        return found.value;
      }
      if (this.#ended) return undefined;
      await new Promise((resolve) => (this.#wake = resolve));
    }
  }

  // The response's head.
  head() {
    return this.#read((bytes) => {
      const end = bytes.indexOf('\r\n\r\n');
      return end < 0 ? undefined : { value: bytes.subarray(0, end).toString(), used: end + 4 };
    });
  }

  // The next frame `{ fin, rsv, opcode, payload }`, or undefined when the broker has hung up.
  frame() {
    return this.#read(parseFrame);
  }

  // Skips everything up to the close frame, and answers with its code; undefined without one.
  async closeCode() {
    for (;;) {
      const frame = await this.frame();
      if (!frame) return undefined;
      if (frame.opcode === OPCODE.close) return frame.payload.length < 2 ? 1005 : frame.payload.readUInt16BE();
    }
  }

  // Sends one frame; `head` overrides parts of its first two bytes.
  send(opcode, payload = '', head = {}) {
    this.socket.write(makeFrame(opcode, Buffer.from(payload), head));
    return this;
  }
}

// A frame of a client.
export function makeFrame(opcode, payload, { fin = true, rsv = 0, masked = true } = {}) {
  const long = payload.length > 0xffff;
  const short = payload.length < 126;
  const head = Buffer.alloc(short ? 2 : long ? 10 : 4);
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  head[1] = (masked ? 0x80 : 0) | (short ? payload.length : long ? 127 : 126);
  if (long) head.writeBigUInt64BE(BigInt(payload.length), 2);
  else if (!short) head.writeUInt16BE(payload.length, 2);
  if (!masked) return Buffer.concat([head, payload]);
  const mask = randomBytes(4);
  return Buffer.concat([head, mask, payload.map((byte, n) => byte ^ mask[n & 3])]);
}

function parseFrame(bytes) {
  if (bytes.length < 2) return undefined;
  let length = bytes[1] & 0x7f;
  let start = 2;
  if (length === 126) {
    if (bytes.length < 4) return undefined;
    [length, start] = [bytes.readUInt16BE(2), 4];
  } else if (length === 127) {
    if (bytes.length < 10) return undefined;
    [length, start] = [Number(bytes.readBigUInt64BE(2)), 10];
  }
  if (bytes.length < start + length) return undefined;
  const value = {
    fin: bytes[0] >= 0x80,
    rsv: (bytes[0] >> 4) & 7,
    opcode: bytes[0] & 15,
    payload: bytes.subarray(start, start + length),
  };
  return { value, used: start + length };
}
