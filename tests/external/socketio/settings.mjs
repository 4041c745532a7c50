// Brokers with settings of their own: event names, relays, shards.

import { check, same, withBroker } from '../lib/checks.mjs';
import { publish, settled } from '../lib/http.mjs';
import { COMES_BACK, KINDS, NEWEST, members, open } from './clients.mjs';

const CROWD = 12;
const MESSAGES = 50;

export default async function settings() {
  const names = {
    join_room: 'enter',
    room_joined: 'entered',
    message: 'chat',
    board_move: 'board_move',
    cursor_set: 'cursor',
  };
  await withBroker('renamed events', { 'socketio.events': names }, async (broker) => {
    await check('in and out by the other name, the old ones unknown', async () => {
      const ann = await open(broker, NEWEST, 'ann');
      const answer = await ann.ask('enter', { room: 'r' });
      same(answer, { success: true, room: 'r', memberCount: 1 });
      same(await ann.expect('entered'), answer);
      ann.emit('chat', { room: 'r', content: 1 });
      same((await ann.expect('chat')).content, 1);
      await publish(broker, { topic: 'r', data: 2 });
      same(await ann.expect('chat'), 2);
      same((await ann.ask('join_room', { room: 'r2' })).code, 'INVALID_MESSAGE');
      same((await ann.expect('error')).code, 'INVALID_MESSAGE');
    });
    await check('a listed event with a joined room in front goes to the other members', async () => {
      const all = [];
      for (const user of ['ann', 'bob', 'eve']) {
        const it = await open(broker, NEWEST, user);
        if (user !== 'eve') {
          await it.ask('enter', { room: 'board' });
          await it.expect('entered');
        }
        all.push(it);
      }
      const [ann, bob, eve] = all;
      ann.emit('board_move', 'board', { x: 1 });
      same(await bob.expect('board_move'), { x: 1 });
      ann.emit('cursor_set', 'board', [1, 2]);
      same(await bob.expect('cursor'), [1, 2]);
      eve.emit('board_move', 'board', { x: 2 });
      same((await eve.expect('error')).code, 'AUTHORIZATION_FAILED');
      for (const it of all) await it.quiet();
    });
  });
  await withBroker('4 shards', { server: { shards: 4 } }, async (broker) => {
    await check(`${CROWD} members of every kind hear each other, in order and once`, async () => {
      const all = [];
      for (let n = 0; n < CROWD; n += 1) {
        const it = await open(broker, KINDS[n % KINDS.length], `user-${n}`);
        same(await it.join('crowd'), n + 1, 'members');
        all.push(it);
      }
      for (let n = 0; n < MESSAGES; n += 1) for (const it of all) it.emit('message', { room: 'crowd', content: n });
      for (const it of all) {
        const next = {};
        for (let n = 0; n < CROWD * MESSAGES; n += 1) {
          const { from, content } = await it.expect('message');
          same(content, next[from] ?? 0, `the next of ${from}`);
          next[from] = content + 1;
        }
        await it.quiet();
      }
    });
    await check('to a socket’s id, whatever shard it is on', async () => {
      await settled(broker);
      const all = await Promise.all(Array.from({ length: 8 }, (_, n) => open(broker, NEWEST, `user-${n}`, COMES_BACK)));
      for (const from of all) {
        for (const to of all) {
          same((await from.ask('message', { to: to.id, content: from.id })).delivered, 1, 'delivered');
          same((await to.expect('message')).content, from.id);
        }
      }
    });
    await check('polling, upgrading and not: the number of members is right at once', async () => {
      await settled(broker);
      for (const kind of KINDS) {
        const all = await members(broker, kind, `count ${kind.name}`, 'a', 'b', 'c', 'd', 'e');
        same(await all[0].join(`count ${kind.name}`), 5, kind.name);
      }
    });
  });
}
