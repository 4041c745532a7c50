// Sends and disconnects addressed to everyone, a tenant, a user, a connection, and the lists that an
// operator reads (protocols.md sections 7 and 11).

import { check, must, same, until, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { api, settled } from '../lib/http.mjs';
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
}
