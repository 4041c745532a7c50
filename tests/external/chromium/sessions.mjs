// Sessions of pages with other people's client code (documents.mjs): what it does by itself, what it
// makes of what comes, and of a connection that ends (protocols.md sections 3, 4, 6, 7 and 11).

import http from 'node:http';

import { check, must, same, until, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { api, publish } from '../lib/http.mjs';
import { forge, inSeconds, token } from '../lib/tokens.mjs';
import { channelsPage, eventsPage } from './documents.mjs';

const ESTABLISHED = 'WebSocket connection established';
const CLOSED = 'WebSocket connection closed';
const SUBSCRIBED = 'Unknown message type: subscribed';

// The replaced system's authorizer, as rules; who is a member of a room, its room service knows.
const RULES = [
  { topic: 'user.{userId}.**', allow: ['subscribe'], decide: 'allow' },
  { topic: 'system.*', allow: ['subscribe'], decide: 'allow' },
  { topic: 'room.*.**', allow: ['subscribe', 'publish'], decide: 'webhook' },
];

// A room service: everybody is a member of room 7 but Mallory.
async function roomService() {
  const server = http.createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { topic, userId } = JSON.parse(body);
    response.end(JSON.stringify({ allow: topic.startsWith('room.7.') && userId !== 'mallory' }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    webhook: { url: `http://127.0.0.1:${server.address().port}/member` },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

// The publish-subscribe client, at the path that it dials.
export async function eventsSessions(browser, pages) {
  const rooms = await roomService();
  const settings = {
    server: { allow_origins: [pages.origin] },
    endpoint: [{ path: '/ws', dialect: 'events' }, { path: '/topics', dialect: 'topics' }],
    websocket: { compression: true },
    webhook: rooms.webhook,
  };
  const open = async (broker, userId, authToken) =>
    browser.visit(pages.put(eventsPage(broker, { userId, roomId: '7', authToken: authToken ?? (await token(userId)) })));
  await withBroker('chromium, client of events', { ...settings, rule: RULES }, async (broker) => {
    await eventsOneByOne(broker, open);
    await eventsReconnecting(broker, open);
  });
  await withBroker('chromium, client of events, default rules', settings, async (broker) => {
    await check('what is not granted is an error that it logs; the rest arrives', async () => {
      const page = await open(broker, 'ann');
      await page.logs(ESTABLISHED, SUBSCRIBED, 'Unknown message type: error', SUBSCRIBED);
      await publish(broker, { topic: 'user.ann.notifications', eventType: 'notification', data: 1 });
      same(await page.shows('.displayNotification', 1), ['[1]']);
    });
  });
  rooms.close();
}

async function eventsOneByOne(broker, open) {
  await check('it subscribes by itself, and its switch takes each event', async () => {
    const page = await open(broker, 'ann');
    await page.logs(ESTABLISHED, SUBSCRIBED, SUBSCRIBED, SUBSCRIBED);
    // What the services of its document publish.
    const data = { id: 7, text: '日本 🚀', at: '2026-01-31T12:00:00.000Z' };
    for (const [topic, eventType, by] of [
      ['user.ann.notifications', 'notification', 'displayNotification'],
      ['system.notifications', 'system_notification', 'displaySystemAlert'],
      ['room.7.messages', 'chat_message', 'addMessageToChat'],
    ]) {
      same((await publish(broker, { topic, eventType, data })).json, { delivered: 1 }, topic);
      same(await page.shows(`.${by}`, 1), [JSON.stringify([data])], by);
    }
    await publish(broker, { topic: 'system.notifications', eventType: 'else', data });
    await page.logs(ESTABLISHED, SUBSCRIBED, SUBSCRIBED, SUBSCRIBED, 'Unknown message type: else');
    await page.shows('li', 3);
  });
  await check('what is addressed to the user or to everyone is taken too', async () => {
    const page = await open(broker, 'ann');
    await page.logs(ESTABLISHED, SUBSCRIBED, SUBSCRIBED, SUBSCRIBED);
    await api(broker, 'POST', '/api/users/ann/notify', { message: { type: 'notification', data: 'for ann' } });
    same(await page.shows('.displayNotification', 1), ['["for ann"]']);
    await api(broker, 'POST', '/api/broadcast', { message: { type: 'system_notification', data: 'for all' } });
    same(await page.shows('.displaySystemAlert', 1), ['["for all"]']);
  });
  await check('two of them chat, with a client of topics', async () => {
    const [ann, bob] = [await open(broker, 'ann'), await open(broker, 'bob')];
    const tom = await connect(broker, { path: '/topics', token: await token('tom') });
    await tom.subscribe('room.7.messages');
    for (const page of [ann, bob]) await page.logs(ESTABLISHED, SUBSCRIBED, SUBSCRIBED, SUBSCRIBED);
    const message = { type: 'message', topic: 'room.7.messages', eventType: 'chat_message', data: 'hi, I am ann' };
    await ann.run((frame) => socket.send(frame), JSON.stringify(message));
    tom.send({ ...message, data: 'and tom' });
    for (const page of [ann, bob]) {
      same((await page.shows('.addMessageToChat', 2)).sort(), ['["and tom"]', '["hi, I am ann"]']);
    }
    const { metadata, eventType } = await tom.expect('message');
    same([typeof metadata.senderId, eventType], ['string', 'chat_message']);
  });
  await check('who is no member of the room hears nothing of it', async () => {
    const page = await open(broker, 'mallory');
    await page.logs(ESTABLISHED, SUBSCRIBED, SUBSCRIBED, 'Unknown message type: error');
    same((await publish(broker, { topic: 'room.7.messages', eventType: 'chat_message', data: 1 })).json, { delivered: 0 });
  });
}

async function eventsReconnecting(broker, open) {
  const again = [ESTABLISHED, SUBSCRIBED, SUBSCRIBED, SUBSCRIBED];
  await check('it comes back five seconds after a drop, with its topics', async () => {
    const page = await open(broker, 'ann');
    await page.logs(...again);
    const gone = await api(broker, 'POST', '/api/users/ann/disconnect', { code: 4000, reason: 'try again' });
    same(gone.json, { disconnected: 1 });
    await page.logs(...again, CLOSED);
    await until(() => page.log.length > again.length + 1, 'another connection');
    await page.logs(...again, CLOSED, ...again);
    await publish(broker, { topic: 'room.7.messages', eventType: 'chat_message', data: 'there again' });
    same(await page.shows('.addMessageToChat', 1), ['["there again"]']);
  }, 30_000);
  await check('a bad token is refused: it only sees the closing', async () => {
    const page = await open(broker, 'ann', 'garbage');
    await until(() => page.log.includes(CLOSED), 'the closing');
    must(!page.log.includes(ESTABLISHED), page.log.join(' / '));
  });
  // Its time is over, but for the leeway of five seconds.
  await check('a token whose time runs out: it is told, then closed', async () => {
    const page = await open(broker, 'ann', forge({ sub: 'ann', exp: inSeconds(-2) }));
    await page.logs(...again, 'Unknown message type: auth_expired', CLOSED);
  });
}

// The multi-tenant client, at the path that it dials.
export async function channelsSessions(browser, pages) {
  const settings = {
    server: { allow_origins: [pages.origin] },
    endpoint: [{ path: '/ws', dialect: 'channels' }, { path: '/ws/admin', dialect: 'admin' }],
  };
  const open = async (broker, user, tenantId, authToken) => {
    const own = forge({ userId: user, tenantId, exp: inSeconds(600) });
    return browser.visit(pages.put(channelsPage(broker, { tenantId, authToken: authToken ?? own })));
  };
  // Open and a member of what it joins by itself.
  const joined = async (broker, user, tenantId) => {
    const page = await open(broker, user, tenantId);
    await page.logs('Connected to WebSocket');
    const path = `/api/connections?userId=${user}&tenantId=${tenantId}`;
    const general = `tenant:${tenantId}:general`;
    await until(async () => {
      const { items } = (await api(broker, 'GET', path)).json;
      return items.some(({ subscriptions }) => subscriptions.includes(general));
    }, general);
    return page;
  };
  await withBroker('chromium, client of channels', settings, async (broker) => {
    await channelsTalking(broker, joined);
    await channelsServerSide(broker, joined);
    await channelsEnding(broker, open, joined);
  });
}

// Has the client show what it is told of these types.
const listen = (page, ...types) =>
  page.run((all) => all.forEach((type) => wsClient.on(type, (data) => show(type, [data]))), types);

async function channelsTalking(broker, joined) {
  await check('it joins its tenant’s channel by itself; what one sends the other shows', async () => {
    const [ann, bob] = [await joined(broker, 'ann', 'acme'), await joined(broker, 'bob', 'acme')];
    const eve = await joined(broker, 'eve', 'acme2');
    const channel = 'tenant:acme:general';
    const message = { text: 'hi', n: 1.5, who: '日本 🚀' };
    await ann.run(([to, what]) => wsClient.sendMessage(to, what), [channel, message]);
    same(await bob.shows('.displayMessage', 1), [JSON.stringify([channel, message])]);
    await bob.run((to) => wsClient.sendMessage(to, 'yourself'), channel);
    same(await ann.shows('.displayMessage', 1), [JSON.stringify([channel, 'yourself'])]);
    // The sender has none of its own, the other tenant has none at all.
    await bob.shows('li', 1);
    await eve.shows('li', 0);
  });
  await check('its callbacks hear each type, with the data', async () => {
    const ann = await joined(broker, 'ann', 'acme');
    await listen(ann, 'channel_joined', 'channel_left', 'notifications_subscribed', 'pong', 'error');
    await ann.run(() => wsClient.joinChannel('public:news'));
    same(await ann.shows('.channel_joined', 1), ['[{"channel":"public:news"}]']);
    await ann.run(() => wsClient.subscribeToNotifications());
    same(await ann.shows('.notifications_subscribed', 1), ['[{"types":["all"]}]']);
    await ann.run(() => wsClient.send({ type: 'leave_channel', data: { channel: 'public:news' } }));
    same(await ann.shows('.channel_left', 1), ['[{"channel":"public:news"}]']);
    await ann.run(() => wsClient.send({ type: 'ping' }));
    must(/^\[\{"timestamp":"[^"]+Z"\}\]$/.test((await ann.shows('.pong', 1))[0]), 'no timestamp');
    await ann.run(() => {
      wsClient.joinChannel('tenant:acme2:general');
      wsClient.sendMessage('tenant:acme2:general', 1);
      wsClient.send({ type: 'dance', data: {} });
      wsClient.send('nonsense');
    });
    const errors = ['Access denied to channel', 'Permission denied', 'Unknown message type: dance', 'Invalid message format'];
    same(await ann.shows('.error', 4), errors.map((error) => JSON.stringify([{ error }])));
  });
}

// What the event bus of its document sends: to a user, a tenant, a channel, to all.
async function channelsServerSide(broker, joined) {
  await check('notifyUser, broadcastToTenant, sendToChannel, globalBroadcast', async () => {
    const [ann, bob, eve] = [await joined(broker, 'ann', 'acme'), await joined(broker, 'bob', 'acme'), await joined(broker, 'ann', 'acme2')];
    for (const page of [ann, bob, eve]) await listen(page, 'user_created', 'maintenance', 'news', 'channel_joined');
    await bob.run(() => wsClient.joinChannel('tenant:acme:admin'));
    await bob.shows('.channel_joined', 1);
    const send = async (path, message, delivered) =>
      same((await api(broker, 'POST', path, { message })).json, { delivered }, path);
    const status = { type: 'status_updated', data: { status: 'away' } };
    await send('/api/users/ann/notify?tenant=acme', { type: 'notification', data: status }, 1);
    same(await ann.shows('.showNotification', 1), [JSON.stringify([status])]);
    const user = { user: { id: '7', email: 'a@example.com', name: 'A' } };
    await send('/api/channels/tenant:acme:admin/send', { type: 'user_created', data: user }, 1);
    same(await bob.shows('.user_created', 1), [JSON.stringify([user])]);
    await send('/api/tenants/acme/broadcast', { type: 'maintenance', data: { at: 'noon' } }, 2);
    for (const page of [ann, bob]) same(await page.shows('.maintenance', 1), ['[{"at":"noon"}]']);
    await send('/api/broadcast', { type: 'news', data: 1 }, 3);
    for (const page of [ann, bob, eve]) same(await page.shows('.news', 1), ['[1]']);
    await ann.shows('li', 3);
    await bob.shows('li', 4);
    await eve.shows('li', 1);
  });
  await check('what is published over HTTP is a message of the channel', async () => {
    const ann = await joined(broker, 'ann', 'acme');
    same((await publish(broker, { topic: 'tenant:acme:general', data: [1] })).json, { delivered: 1 });
    same(await ann.shows('.displayMessage', 1), ['["tenant:acme:general",[1]]']);
  });
  await check('an operator reaches it over /ws/admin', async () => {
    const ann = await joined(broker, 'ann', 'acme');
    const it = await connect(broker, { path: '/ws/admin', token: await token('root', '--role', 'admin') });
    const reply = await it.ask({ type: 'broadcast', data: { message: { type: 'notification', data: 7 }, tenantId: 'acme' } });
    same(reply.data, { delivered: 1 });
    same(await ann.shows('.showNotification', 1), ['[7]']);
    same((await it.ask({ type: 'disconnect', data: { userId: 'ann', tenantId: 'acme' } })).data, { disconnected: 1 });
    await ann.logs('Connected to WebSocket', 'WebSocket connection closed');
  });
}

async function channelsEnding(broker, open, joined) {
  for (const [what, user, tenant, jwt] of [
    ['a bad token', 'ann', 'acme', 'garbage'],
    ['a token of no tenant', 'ann', 'acme', await token('ann')],
  ]) {
    await check(`${what}: it is connected, and closed`, async () => {
      const page = await open(broker, user, tenant, jwt);
      await page.logs('Connected to WebSocket', CLOSED);
      await page.shows('li', 0);
    });
  }
  await check('connect, called again after a drop, is a session again', async () => {
    const ann = await joined(broker, 'ann', 'acme');
    await api(broker, 'POST', '/api/users/ann/disconnect?tenant=acme', {});
    await ann.logs('Connected to WebSocket', CLOSED);
    await listen(ann, 'channel_joined');
    await ann.run(() => wsClient.connect());
    same(await ann.shows('.channel_joined', 1), ['[{"channel":"tenant:acme:general"}]']);
    await publish(broker, { topic: 'tenant:acme:general', data: 'again' });
    same(await ann.shows('.displayMessage', 1), ['["tenant:acme:general","again"]']);
  });
}
