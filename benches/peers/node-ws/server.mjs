// A WebSocket publish/subscribe server on Node's `ws`, as a team would write it: connections in
// Maps, a message handler, a broker over an in-memory adapter that scans its patterns by RegExp.
// It speaks the dialect `topics`. A delivery is serialized once a publish, each RegExp compiled
// once a pattern, and what matches is sent as one shared Buffer.
//
//     node server.mjs PORT      JWT_SECRET set: tokens (HS256) are asked for; unset: anyone may

import { createServer } from 'node:http';
import jwt from 'jsonwebtoken';
import { WebSocketServer } from 'ws';

const PING_INTERVAL_MS = 30_000;
const PING_TIMEOUT_MS = 60_000;
const MAX_PAYLOAD_BYTES = 1024 * 1024;
const MAX_CONNECTIONS_PER_IP = Number(process.env.WEBSOCKET_MAX_CONNECTIONS_PER_IP ?? 100);
const SECRET = process.env.JWT_SECRET;

const now = () => new Date().toISOString();

/** `*` is one segment, `**` one or more; the rest is literal. */
function compile(pattern) {
  const source = pattern
    .split('.')
    .map((segment) => {
      if (segment === '**') return '.+';
      if (segment === '*') return '[^.]+';
      return segment.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    })
    .join('\\.');
  return new RegExp(`^${source}$`);
}

/** Patterns in one process, each with the function that takes what matches it. */
class MemoryAdapter {
  #subscriptions = new Map();

  subscribe(pattern, deliver) {
    this.#subscriptions.set(pattern, { matcher: compile(pattern), deliver });
  }

  unsubscribe(pattern) {
    this.#subscriptions.delete(pattern);
  }

  /** Linear in the number of patterns. */
  publish(topic, message) {
    const matched = [];
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.matcher.test(topic)) matched.push(subscription);
    }
    // With several, a connection may hold more than one of them: `reached` lets it have one copy.
    const reached = matched.length > 1 ? new Set() : null;
    for (const { deliver } of matched) deliver(message, reached);
  }
}

/** Every connection, by id, user, address and pattern. */
class ConnectionManager {
  #connections = new Map();
  #byUser = new Map();
  #byTopic = new Map();
  #countByIp = new Map();
  #nextId = 1;

  add(socket, ip) {
    const count = this.#countByIp.get(ip) ?? 0;
    if (count >= MAX_CONNECTIONS_PER_IP) return null;
    this.#countByIp.set(ip, count + 1);
    const id = this.#nextId++;
    const connection = { id, socket, ip, userId: null, topics: new Set(), pongAt: Date.now() };
    this.#connections.set(connection.id, connection);
    return connection;
  }

  /** Forgets a connection; returns the patterns that nobody holds any more. */
  remove(connection) {
    this.#connections.delete(connection.id);
    const count = this.#countByIp.get(connection.ip) - 1;
    if (count > 0) this.#countByIp.set(connection.ip, count);
    else this.#countByIp.delete(connection.ip);
    drop(this.#byUser, connection.userId, connection);
    return [...connection.topics].filter((topic) => this.unsubscribe(connection, topic));
  }

  authenticate(connection, userId) {
    drop(this.#byUser, connection.userId, connection);
    connection.userId = userId;
    put(this.#byUser, userId, connection);
  }

  /** True for the first subscriber of a pattern. */
  subscribe(connection, topic) {
    connection.topics.add(topic);
    return put(this.#byTopic, topic, connection);
  }

  /** True for the last one. */
  unsubscribe(connection, topic) {
    return connection.topics.delete(topic) && drop(this.#byTopic, topic, connection);
  }

  subscribers(topic) {
    return this.#byTopic.get(topic) ?? [];
  }

  all() {
    return this.#connections.values();
  }
}

/** Adds to a Map of Sets; true if the key is new. */
function put(map, key, value) {
  const set = map.get(key);
  if (set) set.add(value);
  else map.set(key, new Set([value]));
  return !set;
}

/** Removes from a Map of Sets; true if the key is gone with it. */
function drop(map, key, value) {
  const set = map.get(key);
  set?.delete(value);
  return set?.size === 0 && map.delete(key);
}

/** Turns a client's messages into acts of the broker, and the broker's into frames. */
class MessageHandler {
  constructor(connections, broker) {
    this.connections = connections;
    this.broker = broker;
  }

  handle(connection, text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return this.fail(connection, 400, 'Invalid JSON');
    }
    if (message?.type === 'ping') return this.reply(connection, message, { type: 'pong' });
    if (message?.type === 'auth') return this.authenticate(connection, message);
    if (SECRET && connection.userId === null) return this.fail(connection, 401, 'Not authenticated');
    const topics = message?.topics ?? [message?.topic];
    if (!Array.isArray(topics) || !topics.every((topic) => typeof topic === 'string' && topic !== '')) {
      return this.fail(connection, 400, 'Invalid topic');
    }
    switch (message.type) {
      case 'subscribe':
        return topics.forEach((topic) => this.subscribe(connection, topic, message));
      case 'unsubscribe':
        return topics.forEach((topic) => this.unsubscribe(connection, topic, message));
      case 'message':
        return this.publish(connection, message);
      default:
        return this.fail(connection, 400, `Unknown message type: ${message.type}`);
    }
  }

  authenticate(connection, message) {
    try {
      this.connections.authenticate(connection, userOf(message.token));
      this.reply(connection, message, { type: 'auth_success', userId: connection.userId });
    } catch {
      this.reply(connection, message, { type: 'auth_error', message: 'Invalid token', code: 401 });
    }
  }

  subscribe(connection, topic, message) {
    if (this.connections.subscribe(connection, topic)) {
      this.broker.subscribe(topic, (frame, reached) => {
        this.broadcast(this.connections.subscribers(topic), frame, reached);
      });
    }
    this.reply(connection, message, { type: 'subscribed', topic });
  }

  unsubscribe(connection, topic, message) {
    if (this.connections.unsubscribe(connection, topic)) this.broker.unsubscribe(topic);
    this.reply(connection, message, { type: 'unsubscribed', topic });
  }

  publish(connection, message) {
    const { topic, data, eventType = 'message' } = message;
    const metadata = { ...message.metadata };
    delete metadata.senderId;
    if (connection.userId !== null) metadata.senderId = connection.userId;
    const delivery = { type: 'message', topic, eventType, data, metadata, timestamp: now() };
    this.broker.publish(topic, Buffer.from(JSON.stringify(delivery)));
    if (message.id !== undefined) this.reply(connection, message, { type: 'published', topic });
  }

  broadcast(connections, frame, reached) {
    for (const connection of connections) {
      if (reached) {
        if (reached.has(connection)) continue;
        reached.add(connection);
      }
      if (connection.socket.readyState === connection.socket.OPEN) {
        connection.socket.send(frame, { binary: false });
      }
    }
  }

  reply(connection, request, body) {
    connection.socket.send(JSON.stringify({ ...body, id: request.id, timestamp: now() }));
  }

  fail(connection, code, message) {
    const error = { type: 'error', code, message, details: {}, timestamp: now() };
    connection.socket.send(JSON.stringify(error));
  }
}

/** The user of a token; throws for a bad one. */
function userOf(token) {
  if (!SECRET) throw new Error('no secret');
  const claims = jwt.verify(token, SECRET, { algorithms: ['HS256'] });
  return String(claims.sub ?? claims.userId ?? claims.id);
}

const connections = new ConnectionManager();
const broker = new MemoryAdapter();
const handler = new MessageHandler(connections, broker);
const http = createServer((_, response) => response.end('ok'));
const server = new WebSocketServer({
  server: http,
  path: '/ws',
  maxPayload: MAX_PAYLOAD_BYTES,
  perMessageDeflate: false,
  backlog: 4096,
});

server.on('connection', (socket, request) => {
  const connection = connections.add(socket, request.socket.remoteAddress);
  if (connection === null) return socket.close(1013, 'Too many connections');
  const token = new URL(request.url, 'http://localhost').searchParams.get('token');
  if (token !== null) {
    try {
      connections.authenticate(connection, userOf(token));
    } catch {
      socket.close(1008, 'Invalid token');
    }
  }
  socket.on('message', (data) => handler.handle(connection, data));
  socket.on('pong', () => (connection.pongAt = Date.now()));
  socket.on('error', () => socket.terminate());
  socket.on('close', () => {
    for (const topic of connections.remove(connection)) broker.unsubscribe(topic);
  });
});

setInterval(() => {
  const limit = Date.now() - PING_TIMEOUT_MS;
  for (const { socket, pongAt } of connections.all()) {
    if (pongAt < limit) socket.terminate();
    else socket.ping();
  }
}, PING_INTERVAL_MS);

process.on('SIGTERM', () => process.exit(0));
http.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4096 });
