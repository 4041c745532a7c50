// The application's back end: publishing over HTTP, alone and in batches, who may, and what is
// refused (protocols.md sections 7 and 11).

import { check, must, same, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { api, get, publish, settled } from '../lib/http.mjs';
import { token } from '../lib/tokens.mjs';

const LIMIT = 65_536;

export default async function apiChecks() {
  await withBroker('api', { websocket: { max_message_bytes: LIMIT } }, async (broker) => {
    const client = async () => connect(broker, { token: await token('alice') });
    await publishing(broker, client);
    await batches(broker, client);
    await refused(broker);
  });
  await withBroker('api', { api: null }, async (broker) => {
    await check('without a key it is off, but for an admin’s token', async () => {
      must((await api(broker, 'GET', '/api/stats', undefined, '')).status >= 400, 'open');
      must((await api(broker, 'GET', '/api/stats', undefined, 'guess')).status >= 400, 'open');
      same((await api(broker, 'GET', '/api/stats', undefined, await token('root', '--role', 'admin'))).status, 200);
    });
  });
}

async function publishing(broker, client) {
  await check('publish reaches every subscriber, and counts them', async () => {
    await settled(broker);
    const readers = [await client(), await client(), await client()];
    await readers[0].subscribe('h.x');
    await readers[1].subscribe('h.*', 'h.x');
    await readers[2].subscribe('h.**');
    const reply = await publish(broker, '{"topic":"h.x","data":{"b":1.0,"a":12345678901234567890}}');
    same([reply.status, reply.json], [200, { delivered: 3 }]);
    for (const reader of readers) {
      const message = await reader.expect('message');
      same([message.topic, message.eventType], ['h.x', 'message']);
      must(message.text.includes('"data":{"b":1.0,"a":12345678901234567890}'), message.text);
      must(!('senderId' in (message.metadata ?? {})), message.text);
    }
    same((await publish(broker, { topic: 'h', data: 1 })).json, { delivered: 0 });
  });
  await check('eventType, metadata and senderId as given', async () => {
    const it = await client();
    await it.subscribe('h');
    await publish(broker, { topic: 'h', data: null, eventType: 'e', metadata: { senderId: 'billing', k: 1 } });
    const message = await it.expect('message');
    same([message.eventType, message.data], ['e', null]);
    same(message.metadata, { senderId: 'billing', k: 1 }, 'metadata');
  });
  await check('the same id again: the same reply, no second delivery', async () => {
    await settled(broker);
    const it = await client();
    await it.subscribe('h');
    const first = await publish(broker, { topic: 'h', data: 1, id: 'once' });
    const second = await publish(broker, { topic: 'h', data: 2, id: 'once' });
    same(second.json, first.json, 'reply');
    same(first.json.delivered, 1, 'delivered');
    await publish(broker, { topic: 'h', data: 3, id: 'another' });
    same([(await it.expect('message')).data, (await it.expect('message')).data], [1, 3]);
    await it.quiet();
  });
  await check('the same id on another topic, or as a number, is another', async () => {
    await settled(broker);
    const it = await client();
    await it.subscribe('h.*');
    for (const [topic, id] of [['h.1', 'seven'], ['h.2', 'seven'], ['h.1', 7], ['h.1', null], ['h.1', null]]) {
      const { json } = await publish(broker, { topic, data: 1, id });
      same(json, { delivered: 1, ...(id !== null && { id }) });
      await it.expect('message');
    }
  });
  await check('the same id at once, many times over: one delivery', async () => {
    await settled(broker);
    const it = await client();
    await it.subscribe('h');
    const replies = await Promise.all(Array.from({ length: 20 }, () => publish(broker, { topic: 'h', data: 1, id: 'race' })));
    for (const { json } of replies) same(json, replies[0].json, 'reply');
    await it.expect('message');
    await it.quiet();
  });
}

async function batches(broker, client) {
  await check('a batch: a result each, in order', async () => {
    await settled(broker);
    const it = await client();
    await it.subscribe('b.*');
    const reply = await publish(broker, [
      { topic: 'b.1', data: 1 },
      { topic: 'b..', data: 2 },
      { topic: 'b.3' },
      { topic: 'b.*', data: 4 },
      { topic: 'b.5', data: 5 },
    ]);
    same(reply.status, 200, 'status');
    const { results } = reply.json;
    same([results[0], results[4], results.length], [{ delivered: 1 }, { delivered: 1 }, 5]);
    for (const result of results.slice(1, 4)) same(result.error?.code, 400, 'code');
    same([(await it.expect('message')).data, (await it.expect('message')).data], [1, 5]);
  });
  await check('a batch of 500 on one topic keeps its order', async () => {
    const it = await client();
    await it.subscribe('b');
    await publish(broker, Array.from({ length: 500 }, (_, n) => ({ topic: 'b', data: n })));
    for (let n = 0; n < 500; n += 1) same((await it.expect('message')).data, n);
  });
}

async function refused(broker) {
  const body = '{"topic":"a","data":1}';
  await check('a token opens it as a Bearer alone', async () => {
    const root = await token('root', '--role', 'admin');
    for (const [path, headers] of [
      [`/api/stats?token=${root}`, {}],
      ['/api/stats', { Cookie: `token=${root}` }],
      ['/api/stats', { Authorization: root }],
      ['/api/stats', { Authorization: `Basic ${root}` }],
    ]) {
      same((await get(broker, path, { headers })).status, 401, `${path.slice(0, 16)} ${Object.keys(headers)}`);
    }
    same((await get(broker, '/api/stats', { headers: { Authorization: `bearer ${root}` } })).status, 200, 'status');
  });
  await check('every route is guarded, one that is not there is 404', async () => {
    for (const path of ['/api/stats', '/api/connections', '/api/connections/x', '/api/topics', '/api/topics/a', '/api/topics/a/presence', '/api/topics/a/history', '/api/openapi.json']) {
      same((await get(broker, path)).status, 401, path);
    }
    const { status, json } = await api(broker, 'GET', '/api/none');
    same([status, json.error.code], [404, 404]);
  });
  await check('no key is 401, a wrong one is 401', async () => {
    same((await api(broker, 'POST', '/api/publish', body, '')).status, 401);
    same((await api(broker, 'POST', '/api/publish', body, 'wrong')).status, 401);
  });
  await check('a token that is no admin’s is refused, an admin’s is good', async () => {
    const { status } = await api(broker, 'POST', '/api/publish', body, await token('alice'));
    must(status === 401 || status === 403, `status ${status}`);
    same((await api(broker, 'POST', '/api/publish', body, await token('root', '--role', 'admin'))).status, 200);
  });
  for (const bad of ['', 'x', '{}', '{"topic":"a"}', '{"data":1}', '{"topic":"a..b","data":1}', '{"topic":"a.*","data":1}', '7']) {
    await check(`a body ${bad || 'of nothing'} is 400`, async () => {
      const { status, json } = await publish(broker, bad);
      same([status, json?.error?.code], [400, 400]);
      must(typeof json.error.message === 'string', JSON.stringify(json));
    });
  }
  await check('a body over the limit is 413', async () => {
    same((await publish(broker, { topic: 'a', data: 'x'.repeat(LIMIT) })).status, 413);
    same((await publish(broker, { topic: 'a', data: 'x'.repeat(LIMIT - 100) })).status, 200);
    for (const path of ['/api/broadcast', '/api/users/a/notify', '/api/tenants/a/broadcast', '/api/channels/a/send']) {
      same((await api(broker, 'POST', path, { message: 'x'.repeat(LIMIT) })).status, 413, path);
    }
  });
  await check('a batch may have sixteen times that, and each of it no more than one', async () => {
    const some = Array.from({ length: 15 }, () => ({ topic: 'a', data: 'x'.repeat(LIMIT - 100) }));
    same((await publish(broker, some)).status, 200);
    same((await publish(broker, [...some, ...some])).status, 413);
    const [good, large] = (await publish(broker, [some[0], { topic: 'a', data: 'x'.repeat(2 * LIMIT) }])).json.results;
    same([good.delivered, large.error?.code], [0, 413]);
  });
  await check('another method is refused', async () => {
    const { status } = await api(broker, 'GET', '/api/publish');
    must(status === 404 || status === 405, `status ${status}`);
  });
}
