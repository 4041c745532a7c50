// The dialect `admin`: who is let in, and an operator's questions, whose answers are those of the HTTP
// API (protocols.md section 11).

import { check, must, same, until, withBroker } from '../lib/checks.mjs';
import { CARRIERS, connect, refusal } from '../lib/client.mjs';
import { api, settled } from '../lib/http.mjs';
import { forge, inSeconds, token } from '../lib/tokens.mjs';
import { expectTimed, join, member } from './membership.mjs';

const PATH = '/ws/admin';

export default async function admin() {
  await withBroker('admin', { auth: { leeway_s: 0 } }, async (broker) => {
    await arriving(broker);
    await figures(broker);
    await lists(broker);
    await disconnects(broker);
    await broadcasts(broker);
    await malformed(broker);
  });
  // Whatever the endpoint says, it is never open.
  const open = { endpoint: [{ path: PATH, dialect: 'admin', require_authentication: false }] };
  await withBroker('admin', open, async (broker) => {
    await check('401 without a token, also where none is required', async () => {
      same(await refusal(broker, { path: PATH }), 401);
    });
  });
  await withBroker('admin', { limits: { messages_per_window: 3, window_ms: 60_000 } }, async (broker) => {
    await check('over the rate is 429, and a stream goes on', async () => {
      const it = await operator(broker);
      await ask(it, 'topics', {});
      await ask(it, 'topics', {});
      await ask(it, 'stats', { everyMs: 100 }, 's');
      it.send({ type: 'topics', data: {} });
      for (let n = 0, refused = 0; n < 3 || !refused; n += 1) {
        const { type, data } = await it.next();
        if (type === 'error') same([data.code, (refused += 1)], [429, 1]);
      }
    });
  });
}

const operator = async (broker, options = {}) =>
  connect(broker, { path: PATH, token: await token('root', '--role', 'admin'), ...options });

// Asks; the `data` of the answer, whose `type` is the request's.
async function ask(it, type, data, id) {
  const reply = await it.ask({ type, data, id });
  const keys = id === undefined ? ['type', 'data'] : ['type', 'id', 'data'];
  must(reply.type === type, reply.text);
  same(Object.keys(reply), keys, `keys of ${reply.text.slice(0, 100)}`);
  if (id !== undefined) same(reply.id, id, 'id');
  return reply.data;
}

// What is answered must be this failure, whole.
async function failed(it, message, code, id) {
  const { type, data, ...rest } = await it.ask(message);
  same([type, data.code, Object.keys(data)], ['error', code, ['error', 'code']], `answer to ${JSON.stringify(message)}`);
  must(typeof data.error === 'string' && data.error.length > 0, JSON.stringify(data));
  same(rest, id === undefined ? {} : { id });
}

async function arriving(broker) {
  for (const carrier of Object.keys(CARRIERS)) {
    await check(`by ${carrier}: 401, 403 and in`, async () => {
      const exp = inSeconds(600);
      for (const [jwt, status] of [
        ['garbage', 401],
        [forge({ sub: 'root', roles: ['admin'], exp }, { secret: 'another secret, of 32 bytes or more.' }), 401],
        [forge({ sub: 'root', roles: ['admin'], exp: inSeconds(-60) }), 401],
        [await token('ann'), 403],
        [await token('ann', '--role', 'administrator'), 403],
        [forge({ sub: 'admin', tenantId: 'admin', roles: [], exp }), 403],
        [forge({ sub: 'root', roles: ['member', 'admin'], exp }), 101],
        [forge({ sub: 'root', role: 'admin', exp }), 101],
      ]) {
        same(await refusal(broker, { path: PATH, token: jwt, carrier }), status);
      }
    });
  }
  await check('no token is 401, and the API’s key is none', async () => {
    same(await refusal(broker, { path: PATH }), 401);
    same(await refusal(broker, { path: PATH, headers: { Authorization: 'Bearer an-api-key-of-the-tests' } }), 401);
  });
  await check('nothing is sent on connect', async () => {
    const it = await operator(broker);
    must('items' in (await ask(it, 'topics', {})), 'no list');
  });
  await check('auth_expired in this form, then 4401', async () => {
    const jwt = forge({ sub: 'root', role: 'admin', exp: inSeconds(2) });
    const it = await operator(broker, { token: jwt });
    await ask(it, 'stats', { everyMs: 3_600_000 });
    const { code, message, ...rest } = await expectTimed(it, 'auth_expired');
    same([code, typeof message, rest], [401, 'string', {}]);
    await it.closes(4401);
  });
}

async function figures(broker) {
  await check('stats once: what the HTTP route gives', async () => {
    await settled(broker);
    const it = await operator(broker);
    await join(await member(broker, 'ann', 'acme'), 'public:x');
    for (const data of [undefined, null, {}, { everyMs: null }]) {
      const stats = await ask(it, 'stats', data, 'once');
      same([stats.total, stats.byTenant, stats.byChannel], [2, { acme: 1 }, { 'public:x': 1 }]);
      same(Object.keys(stats), Object.keys((await api(broker, 'GET', '/api/stats')).json), 'keys');
    }
    // No stream came of it.
    must('items' in (await ask(it, 'topics', {})), 'no list');
  });
  await check('stats every so often, each with the id, until everyMs is 0', async () => {
    const it = await operator(broker);
    const first = await ask(it, 'stats', { everyMs: 100 }, 'stream');
    const times = [Date.parse(first.timestamp)];
    while (times.length <= 5) {
      const { type, id, data } = await it.next();
      same([type, id], ['stats', 'stream']);
      times.push(Date.parse(data.timestamp));
    }
    // One may be late, and the next is on time again.
    const took = times.at(-1) - times[0];
    must(took >= 450 && took < 5000, `five in ${took} ms`);
    // Other questions are answered in between.
    it.send({ type: 'topics', data: {}, id: 'between' });
    for (let reply; reply?.id !== 'between'; ) reply = await it.next();
    it.send({ type: 'stats', data: { everyMs: 0 }, id: 'end' });
    for (let reply; reply?.id !== 'end'; ) reply = await it.next();
    await quietFor(it, 400);
  });
  await check('another stream takes the place of the first', async () => {
    const it = await operator(broker);
    await ask(it, 'stats', { everyMs: 100 }, 1);
    it.send({ type: 'stats', data: { everyMs: 150 }, id: 2 });
    for (let reply; reply?.id !== 2; ) reply = await it.next();
    for (let n = 0; n < 3; n += 1) same((await it.next()).id, 2, 'id');
  });
  await check('a stream ends with its connection', async () => {
    const it = await operator(broker);
    await ask(it, 'stats', { everyMs: 100 });
    await it.close();
    await settled(broker);
  });
}

// Nothing comes in this time: the one thing here that only time can show.
async function quietFor(it, ms) {
  await new Promise((resolve) => setTimeout(resolve, ms));
  must('items' in (await ask(it, 'topics', {}, 'quiet')), 'no list');
}

async function lists(broker) {
  await check('connections: whole, by page, by user and by tenant', async () => {
    await settled(broker);
    const it = await operator(broker);
    const members = [];
    for (const [user, tenant] of [['ann', 'acme'], ['bob', 'acme'], ['ann', 'acme2'], ['ann', 'acme']]) {
      members.push(await member(broker, user, tenant));
    }
    const ann = await connect(broker, { token: await token('ann') });
    await ann.quiet();
    const ids = async (data) => {
      const { items, next } = await ask(it, 'connections', data, 7);
      same(next, null, 'next');
      return items.map(({ connectionId }) => connectionId).sort();
    };
    const [one, two, three, four] = members.map(({ id }) => id);
    same(await ids({ tenantId: 'acme' }), [one, two, four].sort());
    same(await ids({ tenantId: 'acme', userId: 'ann' }), [one, four].sort());
    same(await ids({ tenantId: 'acme2', userId: 'ann' }), [three]);
    same((await ids({ userId: 'ann' })).length, 1, 'ann of no tenant');
    same(await ids({ userId: 'bob' }), []);
    const all = await ids({});
    same(all.length, 6, 'connections');
    const paged = [];
    for (let cursor, n = 0; cursor !== null && n < 20; n += 1) {
      const { items, next } = await ask(it, 'connections', { limit: 2, cursor });
      must(items.length <= 2, `${items.length} items`);
      paged.push(...items.map(({ connectionId }) => connectionId));
      cursor = next;
    }
    same(paged.sort(), all);
  });
  await check('connection: what the HTTP route gives', async () => {
    const it = await operator(broker);
    const ann = await join(await member(broker, 'ann', 'acme'), 'public:x', 'tenant:acme:x');
    const mine = await ask(it, 'connection', { connectionId: ann.id }, 'c');
    same([mine.connectionId, mine.userId, mine.tenantId, mine.subscriptions.sort()], [ann.id, 'ann', 'acme', ['public:x', 'tenant:acme:x']]);
    const { json } = await api(broker, 'GET', `/api/connections/${ann.id}`);
    same({ ...mine, subscriptions: 0 }, { ...json, subscriptions: 0 });
    const listed = (await ask(it, 'connections', { tenantId: 'acme' })).items;
    must(listed.some(({ connectionId }) => connectionId === ann.id), 'not in the list');
  });
  await check('topics by prefix and page, and topic', async () => {
    const it = await operator(broker);
    const ann = await connect(broker, { token: await token('ann') });
    const names = ['list.a', 'list.b', 'list.c'];
    await ann.subscribe(...names, 'else.a', 'list.*');
    const found = [];
    for (let cursor, n = 0; cursor !== null && n < 20; n += 1) {
      const { items, next } = await ask(it, 'topics', { prefix: 'list.', limit: 1, cursor });
      must(items.length <= 1, `${items.length} items`);
      found.push(...items.map(({ topic, subscribers }) => [topic, subscribers]));
      cursor = next;
    }
    same(found.filter(([topic]) => !topic.includes('*')).sort(), names.map((name) => [name, 1]));
    same((await ask(it, 'topics', { prefix: 'none.' })), { items: [], next: null });
    const topic = await ask(it, 'topic', { topic: 'list.a' }, 1);
    same(topic, (await api(broker, 'GET', '/api/topics/list.a')).json);
    must(topic.topic === 'list.a', JSON.stringify(topic));
  });
  await check('what is not there is 404', async () => {
    const it = await operator(broker);
    const ann = await member(broker, 'ann', 'acme');
    await ann.close();
    await until(async () => (await api(broker, 'GET', `/api/connections/${ann.id}`)).status === 404, 'gone');
    for (const connectionId of ['none', '', ann.id]) {
      await failed(it, { type: 'connection', data: { connectionId }, id: 1 }, 404, 1);
      await failed(it, { type: 'disconnect', data: { connectionId }, id: 1 }, 404, 1);
    }
  });
}

async function disconnects(broker) {
  await check('one connection, with the code and reason given', async () => {
    const it = await operator(broker);
    const [ann, too] = [await member(broker, 'ann', 'acme'), await member(broker, 'ann', 'acme')];
    const data = { connectionId: ann.id, code: 4321, reason: 'bye' };
    same(await ask(it, 'disconnect', data, 'd'), { disconnected: 1 });
    same(await ann.closed, { code: 4321, reason: 'bye' });
    same(await ask(it, 'disconnect', { connectionId: too.id }), { disconnected: 1 });
    same((await too.closed).code, 1008, 'code');
  });
  await check('a user, of a tenant or of none', async () => {
    await settled(broker);
    const it = await operator(broker);
    const ours = [await member(broker, 'ann', 'acme'), await member(broker, 'ann', 'acme')];
    const theirs = await member(broker, 'ann', 'acme2');
    const none = await connect(broker, { token: await token('ann') });
    await none.quiet();
    same(await ask(it, 'disconnect', { userId: 'ann', tenantId: 'acme', code: 4000 }), { disconnected: 2 });
    for (const one of ours) await one.closes(4000);
    same(await ask(it, 'disconnect', { userId: 'ann', reason: '' }), { disconnected: 1 });
    await none.closes(1008);
    same(await ask(it, 'disconnect', { userId: 'nobody' }), { disconnected: 0 });
    await theirs.quiet();
    same(await ask(it, 'disconnect', { connectionId: theirs.id, code: 1000 }), { disconnected: 1 });
    await theirs.closes(1000);
  });
}

async function broadcasts(broker) {
  await check('to everyone or a tenant, in the form of each dialect, and not to operators', async () => {
    await settled(broker);
    const [it, other] = [await operator(broker), await operator(broker)];
    const [ann, eve] = [await member(broker, 'ann', 'acme'), await member(broker, 'eve', 'acme2')];
    const bob = await connect(broker, { token: await token('bob', '--tenant', 'acme') });
    await bob.quiet();
    const text = '{"type":"news","data":{"b":1.0,"a":12345678901234567890}}';
    it.send(`{"type":"broadcast","data":{"message":${text}},"id":1}`);
    same((await it.next()).data, { delivered: 3 });
    for (const one of [ann, eve]) same((await one.frame()).text, text);
    const frame = await bob.expect('message');
    same([frame.topic, frame.eventType], ['broadcast', 'news']);
    must(frame.text.includes('"data":{"b":1.0,"a":12345678901234567890}'), frame.text);
    same(await ask(it, 'broadcast', { message: 7, tenantId: 'acme' }), { delivered: 2 });
    same((await ann.frame()).text, '7');
    same((await bob.expect('message')).topic, 'tenant.acme', 'topic');
    same(await ask(it, 'broadcast', { message: null, tenantId: 'none' }), { delivered: 0 });
    await eve.quiet();
    must('items' in (await ask(other, 'topics', {})), 'no list');
  });
}

async function malformed(broker) {
  await check('an id comes back digit for digit', async () => {
    const it = await operator(broker);
    for (const id of ['0', '-1.50', '12345678901234567890', '1E+2', '"a\\u0062"', '""']) {
      for (const type of ['topics', 'dance']) {
        const { text } = await it.ask(`{"id":${id},"type":"${type}"}`);
        must(text.includes(`"id":${id},`), text);
      }
    }
    must(!('id' in (await it.ask('{"type":"topics","id":null}'))), 'an id');
  });
  await check('what is malformed is 400, and the connection stays', async () => {
    const it = await operator(broker);
    for (const text of ['', 'x', '{', '[]', '7', 'null', '{"type":"stats","id":{}}', '{"type":"stats","id":true}']) {
      await failed(it, text, 400);
    }
    await failed(it, Buffer.from([0xff]), 400);
    for (const [type, data] of [
      [undefined, {}], [null, {}], [7, {}], ['dance', {}], ['Stats', {}], ['', {}],
      ['stats', []], ['stats', 'x'], ['stats', { everyMs: -1 }], ['stats', { everyMs: 1 }], ['stats', { everyMs: '100' }], ['stats', { everyMs: 1e12 }],
      ['connections', { limit: 0 }], ['connections', { limit: 1001 }], ['connections', { cursor: 'x' }], ['connections', { userId: 7 }],
      ['connection', {}], ['connection', { connectionId: 7 }],
      ['topics', { limit: 1.5 }], ['topics', { prefix: [] }], ['topics', { cursor: 7 }],
      ['topic', {}], ['topic', { topic: 7 }], ['topic', { topic: 'a..b' }],
      ['disconnect', {}], ['disconnect', { tenantId: 'acme' }], ['disconnect', { userId: 'ann', code: 1005 }],
      ['disconnect', { userId: 'ann', code: 3000 }], ['disconnect', { userId: 'ann', reason: 'x'.repeat(124) }],
      ['broadcast', {}], ['broadcast', { message: 1, tenantId: 7 }],
    ]) {
      await failed(it, { type, data, id: 'bad' }, 400, 'bad');
    }
    await failed(it, '{"type":"stats","type":"stats"}', 400);
    await failed(it, '{"type":"broadcast","data":{"message":1,"message":2}}', 400);
    await failed(it, '{"type":"broadcast","data":{"message":"\\ud800"}}', 400);
    must('items' in (await ask(it, 'topics', {})), 'no list');
  });
  await check('100 requests at once are answered in order', async () => {
    const it = await operator(broker);
    for (let id = 0; id < 100; id += 1) it.send({ type: ['topics', 'connections', 'dance'][id % 3], data: {}, id });
    for (let id = 0; id < 100; id += 1) same((await it.next()).id, id, 'id');
  });
}
