// Being let in, or not (protocols.md sections 1, 5 and 11): tokens, namespaces, two of them on one
// connection, clients of an older protocol, a forced disconnect.

import { check, must, same } from '../lib/checks.mjs';
import { api, get, settled } from '../lib/http.mjs';
import { npm } from '../lib/packages.mjs';
import { token } from '../lib/tokens.mjs';
import { COMES_BACK, dial, members, open } from './clients.mjs';

export default async function doors(broker, kind) {
  for (const [what, auth] of [['no token', undefined], ['a bad token', { token: 'garbage' }], ['a token that is none', { token: 7 }]]) {
    await check(`${what}: connect_error, with a code and a text`, async () => {
      const it = await dial(broker, kind, undefined, auth && { auth });
      const error = await it.refused();
      same(error.message, 'AUTHENTICATION_FAILED');
      const { code, message, ...rest } = error.data;
      same([code, typeof message, rest], ['AUTHENTICATION_FAILED', 'string', {}], 'data');
      must(!it.socket.connected, 'it is connected');
    });
  }
  await check('refused, then let in with another token', async () => {
    const it = await dial(broker, kind, undefined, { auth: { token: 'garbage' } });
    await it.refused();
    it.socket.auth = { token: await token('ann') };
    it.socket.connect();
    await it.connected();
    await it.join('second');
  });
  await check('an unknown namespace: Invalid namespace', async () => {
    const it = await dial(broker, kind, 'ann', { namespace: '/nowhere' });
    same((await it.refused()).message, 'Invalid namespace');
  });
  await check('the token as a header and in the query', async () => {
    const jwt = await token('ann');
    for (const brought of [{ extraHeaders: { Authorization: `Bearer ${jwt}` } }, { query: { token: jwt } }]) {
      const it = await open(broker, kind, undefined, brought);
      await it.join('carried');
      it.emit('message', { room: 'carried', content: 1 });
      same((await it.expect('message')).from, 'ann');
    }
  });
  await check('a socket’s id is not that of its connection', async () => {
    const it = await open(broker, kind, 'ann');
    must(it.id && it.id !== it.socket.io.engine.id, 'one and the same');
    same(it.id.length, 20, 'length');
  });
  await check('two namespaces on one connection, each by itself', async () => {
    await settled(broker);
    const [ann] = await members(broker, kind, 'nsp', 'ann');
    const beside = ann.socket.io.socket('/ws', { auth: { token: await token('ann') } });
    await new Promise((resolve) => beside.on('connect', resolve));
    same((await get(broker, '/ready')).json.websocket.connections, 1, 'connections');
    must(beside.id !== ann.id, 'one id for both');
    const acknowledged = new Promise((resolve) => beside.emit('SUBSCRIBE_NOTIFICATIONS', resolve));
    same(await acknowledged, { success: true });
    ann.socket.disconnect();
    const heard = new Promise((resolve) => beside.on('NEW_NOTIFICATION', resolve));
    await api(broker, 'POST', '/api/users/ann/notify', { message: { id: 1 } });
    same(await heard, { id: 1 });
    beside.disconnect();
  });
  await check('a forced disconnect: it does not come back by itself, only when told', async () => {
    const it = await open(broker, kind, 'fred', COMES_BACK);
    same((await api(broker, 'POST', '/api/users/fred/disconnect', {})).json, { disconnected: 1 });
    same(await it.disconnected(), 'io server disconnect');
    it.socket.connect();
    await it.connected();
    await it.join('back');
  });
}

// A client of Engine.IO 3.
export async function older(broker) {
  const EIO3 = npm('socket.io-client-2.5');
  const jwt = await token('ann');
  for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
    await check(`2.5 over ${transports}: refused, and it knows`, async () => {
      const socket = EIO3(broker.url, { transports, reconnection: false, forceNew: true, query: { token: jwt } });
      const error = await new Promise((resolve, reject) => {
        socket.on('connect_error', resolve);
        socket.on('connect', () => reject(new Error('let in')));
      });
      socket.close();
      if (transports[0] === 'polling') same([error.message, error.description], ['xhr poll error', 400]);
      else same(error.message, 'websocket error');
    });
  }
  await check('what it is told over HTTP', async () => {
    const answer = await get(broker, '/socket.io/?EIO=3&transport=polling');
    same([answer.status, answer.text], [400, '{"code":5,"message":"Unsupported protocol version"}']);
  });
}
