// The notification gateway, namespace /ws (protocols.md sections 5, 7 and 11).

import { check, must, same } from '../lib/checks.mjs';
import { api } from '../lib/http.mjs';
import { token } from '../lib/tokens.mjs';
import { members, open } from './clients.mjs';

const NOTIFICATION = { id: 7, message: 'Paid 日本 🚀', sentAt: '2026-01-31T12:00:00.000Z', readAt: null };

const notify = async (broker, user, message, query = '') =>
  (await api(broker, 'POST', `/api/users/${user}/notify${query}`, { message })).json;

const gate = (broker, kind, auth, more) => open(broker, kind, undefined, { namespace: '/ws', ...(auth && { auth }), ...more });

const subscribed = async (broker, kind, user, ...flags) => {
  const it = await gate(broker, kind, { token: await token(user, ...flags) });
  same(await it.ask('SUBSCRIBE_NOTIFICATIONS'), { success: true }, 'the acknowledgement');
  return it;
};

export default async function gateway(broker, kind) {
  await check('/ws: a notification reaches its user’s sockets, and no one else’s', async () => {
    const [one, two] = [await subscribed(broker, kind, 'gina'), await subscribed(broker, kind, 'gina')];
    const bob = await subscribed(broker, kind, 'bob');
    const idle = await gate(broker, kind, { token: await token('gina') });
    same(await notify(broker, 'gina', NOTIFICATION), { delivered: 2 });
    for (const it of [one, two]) same(await it.expect('NEW_NOTIFICATION'), NOTIFICATION);
    for (const user of ['nobody', 'bob']) await notify(broker, user, { ...NOTIFICATION, id: 8 });
    same((await bob.expect('NEW_NOTIFICATION')).id, 8);
    // What would have come by mistake stands before this.
    await notify(broker, 'gina', { ...NOTIFICATION, id: 9 });
    for (const it of [one, two]) same((await it.expect('NEW_NOTIFICATION')).id, 9);
    await idle.ask('SUBSCRIBE_NOTIFICATIONS');
    await notify(broker, 'gina', { ...NOTIFICATION, id: 10 });
    for (const it of [idle, one, two]) same((await it.expect('NEW_NOTIFICATION')).id, 10);
  });
  await check('/ws: subscribed again, a notification comes once', async () => {
    const it = await subscribed(broker, kind, 'hana');
    it.emit('SUBSCRIBE_NOTIFICATIONS');
    same(await it.ask('SUBSCRIBE_NOTIFICATIONS'), { success: true });
    for (const id of [1, 2]) {
      await notify(broker, 'hana', { ...NOTIFICATION, id });
      same((await it.expect('NEW_NOTIFICATION')).id, id);
    }
  });
  await check('/ws: a user of a tenant is another than that of none', async () => {
    const [acme, none] = [await subscribed(broker, kind, 'ida', '--tenant', 'acme'), await subscribed(broker, kind, 'ida')];
    same(await notify(broker, 'ida', { ...NOTIFICATION, id: 1 }, '?tenant=acme'), { delivered: 1 });
    same((await acme.expect('NEW_NOTIFICATION')).id, 1);
    await notify(broker, 'ida', { ...NOTIFICATION, id: 2 });
    same((await none.expect('NEW_NOTIFICATION')).id, 2);
  });
  for (const [what, auth, message] of [
    ['no auth at all', undefined, 'Missing token'],
    ['auth without a token', { user: 'ann' }, 'Missing token'],
    ['garbage', { token: 'garbage' }, 'Invalid token'],
  ]) {
    await check(`/ws: ${what}: let in, then ERROR "${message}" and out`, async () => {
      const it = await gate(broker, kind, auth);
      it.emit('SUBSCRIBE_NOTIFICATIONS');
      same(await it.expect('ERROR'), message);
      same(await it.disconnected(), 'io server disconnect');
    });
  }
  await check('/ws put out leaves the other namespace of the connection alone', async () => {
    const [ann] = await members(broker, kind, 'beside', 'ann');
    const beside = ann.socket.io.socket('/ws', { auth: { token: 'garbage' } });
    const heard = new Promise((resolve) => beside.on('ERROR', resolve));
    const over = new Promise((resolve) => beside.on('disconnect', resolve));
    beside.emit('SUBSCRIBE_NOTIFICATIONS');
    same([await heard, await over], ['Invalid token', 'io server disconnect']);
    await ann.ask('message', { room: 'beside', content: 1 });
    same((await ann.expect('message')).content, 1);
    must(ann.socket.connected, 'it went too');
  });
}
