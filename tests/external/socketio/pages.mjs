// Socket.IO in a page of Chromium, from another origin than the broker's: the browser build of the
// newest client over each transport, and the clients of two systems that the broker replaces
// (documents.mjs).

import { check, must, same, until, withBroker } from '../lib/checks.mjs';
import { api, publish } from '../lib/http.mjs';
import { relay } from '../lib/relay.mjs';
import { token } from '../lib/tokens.mjs';
import { startBrowser } from '../chromium/browser.mjs';
import { servePage } from '../chromium/page.mjs';
import { members, NEWEST } from './clients.mjs';
import { chatPage, clientPage, eventsPage, notificationsPage } from './documents.mjs';

const TRANSPORTS = { polling: ['polling'], websocket: ['websocket'], default: undefined };

export default async function pages() {
  const page = await servePage();
  let browser;
  await check('chromium: it starts', async () => {
    browser = await startBrowser();
  });
  if (browser) {
    const allowed = { server: { allow_origins: [page.origin] } };
    const own = page.put(clientPage());
    for (const [name, transports] of Object.entries(TRANSPORTS)) {
      await withBroker(`chromium ${name}`, allowed, async (broker) => {
        await sessions(broker, (where, options) => connected(browser, own, where, { transports, ...options }), name);
        await origins(broker, browser, own.replace('127.0.0.1', 'localhost'), transports);
      });
    }
    await withBroker('chromium, documents', allowed, async (broker) => documented(broker, browser, page));
    await browser.close();
  }
  page.close();
}

// A page whose client has begun to connect; it shows what it hears, its bytes as lists.
async function connected(browser, url, where, { transports, token: jwt, ...options }) {
  const visit = await browser.visit(url);
  await visit.run(({ to, ...given }) => {
    const plain = (value) => {
      if (value instanceof ArrayBuffer) return [...new Uint8Array(value)];
      if (Array.isArray(value)) return value.map(plain);
      if (value instanceof Error) return { message: value.message, data: value.data };
      return value && typeof value === 'object' ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)])) : value;
    };
    globalThis.socket = io(to, { reconnectionDelay: 50, randomizationFactor: 0, ...given });
    socket.onAny((name, ...args) => show(name, args.map(plain)));
    for (const name of ['connect', 'disconnect', 'connect_error']) socket.on(name, (...args) => show(name, args.slice(0, 1).map(plain)));
  }, { to: where.url, ...(transports && { transports }), ...(jwt && { auth: { token: jwt } }), ...options });
  return visit;
}

// Emits; what the acknowledgement brings.
const ask = (visit, ...given) => visit.run((all) => new Promise((resolve) => socket.emit(...all, resolve)), given);

// The first arguments of the events of this name.
const heard = async (visit, name, count) => (await visit.shows(`.${name}`, count)).map((text) => JSON.parse(text)[0]);

async function sessions(broker, open, name) {
  await check('rooms, with a client in Node', async () => {
    const visit = await open(broker, { token: await token('ann') });
    same(await ask(visit, 'join_room', { room: 'page' }), { success: true, room: 'page', memberCount: 1 });
    same(await heard(visit, 'room_joined', 1), [{ success: true, room: 'page', memberCount: 1 }]);
    const [bob] = await members(broker, NEWEST, 'page', 'bob');
    await bob.ask('message', { room: 'page', content: 'hi 日本 🚀' });
    same((await ask(visit, 'message', { room: 'page', content: [1.5, null] })).success, true, 'success');
    same((await heard(visit, 'message', 2)).map(({ from, content }) => [from, content]), [['bob', 'hi 日本 🚀'], ['ann', [1.5, null]]]);
    for (const content of ['hi 日本 🚀', [1.5, null]]) same((await bob.expect('message')).content, content);
    const transport = () => visit.run(() => socket.io.engine.transport.name);
    await until(async () => (await transport()) === (name === 'polling' ? 'polling' : 'websocket'), 'the transport');
    same(await visit.run(() => !!socket.recovered), false, 'recovered');
  });
  await check('bytes both ways', async () => {
    const visit = await open(broker, { token: await token('ann') });
    const [bob] = await members(broker, NEWEST, 'page-bytes', 'bob');
    await ask(visit, 'join_room', { room: 'page-bytes' });
    await visit.run(() => socket.emit('message', { room: 'page-bytes', content: new Uint8Array([0, 1, 255]) }));
    same([...(await bob.expect('message')).content], [0, 1, 255]);
    await bob.ask('message', { room: 'page-bytes', content: Buffer.from([7, 8]) });
    same((await heard(visit, 'message', 2)).map(({ content }) => content), [[0, 1, 255], [7, 8]]);
  });
  await check('a bad token is a connect_error with data', async () => {
    const visit = await open(broker, { token: 'garbage' });
    const [error] = await heard(visit, 'connect_error', 1);
    same([error.message, error.data.code], ['AUTHENTICATION_FAILED', 'AUTHENTICATION_FAILED']);
  });
  await check('cut, it comes back', async () => {
    const way = await relay(broker);
    const visit = await open(way, { token: await token('ann') });
    await ask(visit, 'join_room', { room: 'page-cut' });
    way.cut();
    must(/^transport/.test((await heard(visit, 'disconnect', 1))[0]), 'another reason');
    way.reopen();
    await visit.shows('.connect', 2);
    await ask(visit, 'join_room', { room: 'page-cut' });
    await publish(broker, { topic: 'page-cut', eventType: 'news', data: 1 });
    same(await heard(visit, 'news', 1), [1]);
  });
  if (name !== 'websocket') {
    await check('with headers of its own, which a browser asks about first', async () => {
      const visit = await open(broker, { extraHeaders: { Authorization: `Bearer ${await token('ann')}` } });
      same((await ask(visit, 'join_room', { room: 'page-headers' })).success, true, 'success');
    });
    await check('with credentials', async () => {
      const visit = await open(broker, { token: await token('ann'), withCredentials: true });
      same((await ask(visit, 'join_room', { room: 'page-credentials' })).success, true, 'success');
    });
  }
}

async function origins(broker, browser, other, transports) {
  await check('a page of an origin that is not listed gets nowhere', async () => {
    const visit = await connected(browser, other, broker, { transports, token: await token('ann'), reconnection: false });
    must(/^(xhr poll|websocket) error$/.test((await heard(visit, 'connect_error', 1))[0].message), 'another error');
    same(await visit.run(() => socket.connected), false, 'connected');
  });
}

async function documented(broker, browser, page) {
  const open = async (of, user) => browser.visit(page.put(of(broker, await token(user))));
  await check('the chat component joins, sends and hears', async () => {
    const visit = await open(chatPage, 'user-123');
    const lines = (start) => visit.log.filter((line) => line.startsWith(start));
    await until(() => lines('Joined room:').length === 1, () => `joining, only ${visit.log.join(' / ')}`);
    same(lines('Connected').length, 1, 'connected');
    must(/success: true/.test(lines('Joined room:')[0]), lines('Joined room:')[0]);
    await until(async () => (await visit.shows('main div div', 1))[0] === 'Status: Connected', 'its status');
    const [bob] = await members(broker, NEWEST, 'chat-room', 'bob');
    await visit.run(() => document.querySelector('button').click());
    const { from, content, type } = await bob.expect('message');
    same([from, content, type], ['user-123', 'Hello!', 'text']);
    await bob.ask('message', { from: 'bob', room: 'chat-room', content: 'and I', type: 'text' });
    await until(() => lines('Received:').length === 2, () => `two messages, only ${visit.log.join(' / ')}`);
    must(/Hello!/.test(lines('Received:')[0]) && /and I/.test(lines('Received:')[1]), lines('Received:').join(' / '));
    same(lines('error').concat(lines('Error')), [], 'errors');
  });
  await check('every event of the document is emitted, and answered', async () => {
    const visit = await open(eventsPage, 'user-id');
    await visit.shows('.pong', 1);
    same(await heard(visit, 'room_joined', 1), [{ success: true, room: 'room-name', memberCount: 1 }]);
    same(await heard(visit, 'room_left', 1), [{ success: true, room: 'room-name' }]);
    // It gives both a room and a recipient, of which one is meant; and types where it has left.
    const codes = (await heard(visit, 'error', 3)).map((error) => error.code);
    same(codes, ['INVALID_MESSAGE', 'AUTHORIZATION_FAILED', 'AUTHORIZATION_FAILED']);
  });
  await check('the notification client gets its notifications', async () => {
    const visit = await open(notificationsPage, 'gina');
    same(await heard(visit, 'subscribed', 1), [{ success: true }]);
    const notification = { id: 7, message: 'Payment succeeded', sentAt: '2026-01-31T12:00:00.000Z', readAt: null };
    same((await api(broker, 'POST', '/api/users/gina/notify', { message: notification })).json, { delivered: 1 });
    same(await heard(visit, 'NEW_NOTIFICATION', 1), [notification]);
  });
  await check('the notification client with a bad token is told, and put out', async () => {
    const visit = await browser.visit(page.put(notificationsPage(broker, 'garbage')));
    same(await heard(visit, 'ERROR', 1), ['Invalid token']);
    same(await heard(visit, 'disconnect', 1), ['io server disconnect']);
  });
}
