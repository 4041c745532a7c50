// Sends and disconnects addressed to everyone, a tenant, a user, a connection, and the lists that an
// operator reads (protocols.md sections 7 and 11).

import { check, must, same, until, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { api, publish, settled } from '../lib/http.mjs';
import { token } from '../lib/tokens.mjs';

export default async function addressedChecks() {
  await withBroker('addressed', {}, async (broker) => {
    const client = async () => connect(broker, { token: await token('alice') });
    await addressed(broker, client);
    await check('/api/connections has each connection, by itself too', async () => {
      const it = await connect(broker, { token: await token('lister') });
      await it.quiet();
      const { json } = await api(broker, 'GET', '/api/connections?limit=1000');
      must(Array.isArray(json.items) && 'next' in json, JSON.stringify(json));
      const mine = json.items.find((item) => item.userId === 'lister');
      must(mine !== undefined, JSON.stringify(json));
      const id = mine.connectionId ?? mine.id;
      same((await api(broker, 'GET', `/api/connections/${encodeURIComponent(id)}`)).status, 200, 'status');
      same((await api(broker, 'GET', '/api/connections/none')).status, 404, 'status of none');
    });
  });
  await withBroker('addressed', { history: [{ topic: 'kept.**', size: 5, ttl_s: 60 }] }, history);
}

async function history(broker) {
  await check('the past of a topic, page by page', async () => {
    const path = '/api/topics/kept.a/history';
    same((await api(broker, 'GET', path)).json, { items: [], epoch: null, next: null });
    let epoch;
    for (let n = 1; n <= 7; n += 1) {
      const metadata = n === 7 ? { k: 1, senderId: 'billing' } : undefined;
      const { json } = await publish(broker, { topic: 'kept.a', data: n, eventType: 'e', metadata });
      same(json.offset, n, 'offset');
      epoch = json.epoch;
    }
    const first = (await api(broker, 'GET', `${path}?limit=3`)).json;
    same([first.items.map(({ offset }) => offset), first.epoch, first.next], [[3, 4, 5], epoch, 5]);
    const second = (await api(broker, 'GET', `${path}?limit=3&since=5`)).json;
    same([second.items.map(({ data }) => data), second.next], [[6, 7], null]);
    const { offset, eventType, data, metadata } = second.items[1];
    same([offset, eventType, data, metadata], [7, 'e', 7, { k: 1, senderId: 'billing' }]);
    same((await api(broker, 'GET', '/api/topics/kept.a')).json.history, { epoch, offset: 7 });
  });
}

async function addressed(broker, client) {
  await check('broadcast reaches everyone, as topic "broadcast"', async () => {
    await settled(broker);
    const all = [await client(), await client()];
    const { json } = await api(broker, 'POST', '/api/broadcast', { message: { type: 'news', data: [1] } });
    same(json, { delivered: 2 });
    for (const it of all) {
      const { topic, eventType, data } = await it.expect('message');
      same([topic, eventType, data], ['broadcast', 'news', [1]]);
    }
  });
  await check('notify reaches the connections of one user', async () => {
    await settled(broker);
    const bob = await connect(broker, { token: await token('bob') });
    const other = await client();
    const { json } = await api(broker, 'POST', '/api/users/bob/notify', { message: 'hello' });
    same(json, { delivered: 1 });
    const { topic, eventType, data } = await bob.expect('message');
    same([topic, eventType, data], ['user.bob.notifications', 'notification', 'hello']);
    await other.quiet();
  });
  await check('a tenant’s broadcast stays within the tenant', async () => {
    await settled(broker);
    const inside = await connect(broker, { token: await token('carol', '--tenant', 'acme') });
    const outside = await connect(broker, { token: await token('carol', '--tenant', 'acme2') });
    const { json } = await api(broker, 'POST', '/api/tenants/acme/broadcast', { message: 7 });
    same(json, { delivered: 1 });
    same((await inside.expect('message')).topic, 'tenant.acme', 'topic');
    await outside.quiet();
  });
  await check('a user is disconnected with the code and reason given', async () => {
    const [one, two] = [await connect(broker, { token: await token('eve') }), await connect(broker, { token: await token('eve') })];
    const gone = await api(broker, 'POST', '/api/users/eve/disconnect', { code: 4000, reason: 'bye' });
    same(gone.json, { disconnected: 2 });
    same([await one.closed, await two.closed], [{ code: 4000, reason: 'bye' }, { code: 4000, reason: 'bye' }]);
    same((await api(broker, 'POST', '/api/users/eve/disconnect', { code: 1005 })).status, 400, 'status');
    same((await api(broker, 'POST', '/api/connections/none/disconnect', {})).status, 404, 'status');
  });
  await check('one connection is disconnected, with the default code', async () => {
    const it = await connect(broker, { token: await token('frank') });
    await it.quiet();
    const { json } = await api(broker, 'GET', '/api/connections?userId=frank');
    same(json.items.length, 1, 'connections');
    const path = `/api/connections/${json.items[0].connectionId}`;
    same((await api(broker, 'POST', `${path}/disconnect`)).json, { disconnected: 1 });
    same((await it.closed).code, 1008, 'code');
    same((await api(broker, 'POST', `${path}/disconnect`, {})).status, 404, 'status of one that is gone');
    same((await api(broker, 'GET', path)).status, 404, 'status of one that is gone');
  });
  await check('a user of a tenant is named with the tenant', async () => {
    await settled(broker);
    const inside = await connect(broker, { token: await token('dave', '--tenant', 'a/b:c') });
    const none = await connect(broker, { token: await token('dave') });
    const path = '/api/users/dave/notify';
    same((await api(broker, 'POST', `${path}?tenant=a%2Fb%3Ac`, { message: 1 })).json, { delivered: 1 });
    same((await inside.expect('message')).data, 1);
    same((await api(broker, 'POST', path, { message: 2 })).json, { delivered: 1 });
    same((await none.expect('message')).data, 2);
    same((await api(broker, 'POST', `${path}?tenant=other`, { message: 3 })).json, { delivered: 0 });
    await inside.quiet();
    const gone = await api(broker, 'POST', '/api/users/dave/disconnect?tenant=a%2Fb%3Ac', {});
    same(gone.json, { disconnected: 1 });
    await none.quiet();
  });
  await check('a send to a channel reaches who is subscribed', async () => {
    await settled(broker);
    const it = await client();
    await it.subscribe('room/1:ü');
    const path = `/api/channels/${encodeURIComponent('room/1:ü')}/send`;
    same((await api(broker, 'POST', path, '{"message":{"type":"t","n":1.0}}')).json, { delivered: 1 });
    const message = await it.expect('message');
    same([message.topic, message.eventType], ['room/1:ü', 't']);
    must(message.text.includes('"data":{"type":"t","n":1.0}'), message.text);
    same((await api(broker, 'POST', '/api/channels/a.*/send', { message: 1 })).status, 400, 'status');
  });
  await check('topics and their subscribers are listed', async () => {
    const it = await client();
    await it.subscribe('listed.topic');
    await until(async () => {
      const { json } = await api(broker, 'GET', '/api/topics?limit=1000');
      return json.items.some((item) => (item.topic ?? item) === 'listed.topic');
    }, 'the topic in the list');
    const { json } = await api(broker, 'GET', '/api/topics/listed.topic/presence');
    same(json, { items: [{ userId: 'alice', connections: 1 }], connections: 1 });
  });
  await check('a list is read page by page', async () => {
    const it = await client();
    const names = Array.from({ length: 7 }, (_, n) => `paged.${n}`);
    await it.subscribe(...names);
    const listed = [];
    let cursor = '';
    for (let pages = 0; cursor !== null && pages < 20; pages += 1) {
      const { json } = await api(broker, 'GET', `/api/topics?prefix=paged.&limit=2${cursor && `&cursor=${cursor}`}`);
      must(json.items.length <= 2, JSON.stringify(json));
      listed.push(...json.items);
      cursor = json.next;
    }
    same(listed.map(({ topic }) => topic).sort(), names);
    must(listed.every(({ subscribers }) => subscribers === 1), JSON.stringify(listed));
  });
  for (const path of ['/api/topics?limit=0', '/api/topics?limit=1001', '/api/connections?cursor=x', '/api/topics/a..b', '/api/topics/a%', '/api/topics/a/history?since=-1']) {
    await check(`${path} is 400`, async () => same((await api(broker, 'GET', path)).status, 400));
  }
  for (const body of ['', '[]', '{}', '{"message":1,"message":2}', '{"message":"\\ud800"}']) {
    await check(`a broadcast of ${body || 'nothing'} is 400`, async () => {
      same((await api(broker, 'POST', '/api/broadcast', body)).status, 400);
    });
  }
}
