// Connection state recovery (protocols.md section 5): with `recovery_ms` a client of 4.6 and later
// that was cut finds its id, its rooms and what it missed; older ones come back as new sockets.

import { check, must, same, until } from '../lib/checks.mjs';
import { get, publish, settled } from '../lib/http.mjs';
import { relay } from '../lib/relay.mjs';
import { COMES_BACK, open } from './clients.mjs';

const MISSED = 50;

// Only from 4.6 on.
export const recovers = (kind) => kind.version === '4.8';

// A socket behind a relay.
async function behind(broker, kind, user, namespace) {
  const way = await relay(broker);
  return { way, it: await open(way, kind, user, { namespace, ...COMES_BACK }) };
}

// A check that begins when those of before have gone.
const session = (broker, name, run) =>
  check(name, async () => {
    await settled(broker);
    await run();
  });

const connections = async (broker) => (await get(broker, '/ready')).json.websocket.connections;

// Cuts it, does something when the broker has noticed, and lets it come back.
async function away(broker, way, it, meanwhile) {
  const before = await connections(broker);
  way.cut();
  await it.disconnected();
  await settled(broker, before - 1);
  await meanwhile();
  way.reopen();
  return it.back();
}

export default async function recovery(broker, kind) {
  if (!recovers(kind)) {
    await unharmed(broker, kind);
    return;
  }
  await session(broker, 'recovered: its id, its room, and what it missed, in order and once', async () => {
    const { way, it } = await behind(broker, kind, 'ann');
    await it.join('kept');
    await publish(broker, { topic: 'kept', data: 'seen' });
    same(await it.expect('message'), 'seen');
    const { id } = it;
    for (let round = 0; round < 3; round += 1) {
      const { recovered } = await away(broker, way, it, async () => {
        for (let n = 0; n < MISSED; n += 1) await publish(broker, { topic: 'kept', data: n });
      });
      same([recovered, it.id], [true, id], 'recovered, id');
      await publish(broker, { topic: 'kept', data: 'live' });
      for (let n = 0; n < MISSED; n += 1) same(await it.expect('message'), n);
      same(await it.expect('message'), 'live');
      await it.quiet();
    }
    same(await it.join('kept'), 1, 'members');
  });
  await session(broker, 'nothing missed: recovered, and nothing comes twice', async () => {
    const { way, it } = await behind(broker, kind, 'ann');
    await it.join('calm');
    await publish(broker, { topic: 'calm', data: 1 });
    same(await it.expect('message'), 1);
    for (let round = 0; round < 3; round += 1) {
      same((await away(broker, way, it, async () => {})).recovered, true, 'recovered');
    }
    await it.quiet();
    await publish(broker, { topic: 'calm', data: 2 });
    same(await it.expect('message'), 2);
  });
  await session(broker, 'no event before the cut: recovered all the same', async () => {
    const { way, it } = await behind(broker, kind, 'ann');
    const bob = await open(broker, kind, 'bob');
    const { id } = it;
    const { recovered } = await away(broker, way, it, () => bob.ask('message', { to: id, content: 'missed' }));
    same([recovered, it.id], [true, id], 'recovered, id');
    same((await it.expect('message')).content, 'missed');
    await it.quiet();
  });
  await session(broker, 'what was missed may hold bytes, and be several events', async () => {
    const { way, it } = await behind(broker, kind, 'ann');
    await it.join('bytes-kept');
    const bob = await open(broker, kind, 'bob');
    await bob.join('bytes-kept');
    const { recovered } = await away(broker, way, it, async () => {
      await bob.ask('message', { room: 'bytes-kept', content: Buffer.from([0, 1, 255]) });
      await publish(broker, { topic: 'bytes-kept', eventType: 'news', data: [1] });
    });
    same(recovered, true, 'recovered');
    same([...(await it.expect('message')).content], [0, 1, 255]);
    same(await it.expect('news'), [1]);
  });
  await session(broker, 'rooms left and gone, and what was said elsewhere, stay away', async () => {
    const { way, it } = await behind(broker, kind, 'ann');
    for (const room of ['left-behind', 'stays']) await it.join(room);
    await it.leave('left-behind');
    await away(broker, way, it, async () => {
      for (const topic of ['left-behind', 'elsewhere', 'stays']) await publish(broker, { topic, data: topic });
    });
    same(await it.expect('message'), 'stays');
    await it.quiet();
  });
  await session(broker, 'a disconnect that was meant is not recovered', async () => {
    const it = await open(broker, kind, 'ann');
    await it.join('meant');
    const { id } = it;
    it.socket.disconnect();
    await it.disconnected();
    it.socket.connect();
    const { recovered } = await it.connected();
    must(!recovered && it.id !== id, 'recovered');
    await until(async () => (await publish(broker, { topic: 'meant', data: 1 })).json.delivered === 0, 'its leaving');
  });
  await session(broker, 'back at once: recovered, though a client that polls has said goodbye', async () => {
    const { way, it } = await behind(broker, kind, 'ann');
    await it.join('at-once');
    const { id } = it;
    await way.lasting();
    way.cut();
    await it.disconnected();
    way.reopen();
    const { recovered } = await it.back();
    same([recovered, it.id], [true, id], 'recovered, id');
    await publish(broker, { topic: 'at-once', data: 1 });
    same(await it.expect('message'), 1);
  });
  await session(broker, 'back before the broker has noticed that it was gone: recovered', async () => {
    const { way, it } = await behind(broker, kind, 'ann');
    await it.join('unnoticed');
    const { id } = it;
    await way.lasting();
    way.vanish();
    await it.disconnected();
    // A client that polls posts its goodbye, which must not get through either.
    await way.refusing(2);
    way.reopen();
    const { recovered } = await it.back();
    same([recovered, it.id], [true, id], 'recovered, id');
    await publish(broker, { topic: 'unnoticed', data: 1 });
    same(await it.expect('message'), 1);
    await it.quiet();
  });
  await session(broker, 'four at once, each with its own', async () => {
    const all = await Promise.all(['ann', 'bob', 'cal', 'dan'].map((user) => behind(broker, kind, user)));
    for (const [n, { it }] of all.entries()) await it.join(`own-${n}`);
    for (const { way } of all) way.cut();
    for (const { it } of all) await it.disconnected();
    await settled(broker);
    for (let n = 0; n < all.length; n += 1) await publish(broker, { topic: `own-${n}`, data: n });
    for (const { way } of all) way.reopen();
    for (const [n, { it }] of all.entries()) {
      await it.back();
      same(it.socket.recovered, true, 'recovered');
      same(await it.expect('message'), n);
      await it.quiet();
    }
  });
}

// A client that knows nothing of it comes back as a new socket.
async function unharmed(broker, kind) {
  await session(broker, 'it does not recover, and loses nothing but that', async () => {
    const { way, it } = await behind(broker, kind, 'ann');
    await it.join('old');
    await publish(broker, { topic: 'old', data: 1 });
    same(await it.expect('message'), 1);
    const { id } = it;
    await away(broker, way, it, () => publish(broker, { topic: 'old', data: 'missed' }));
    must(it.id !== id, 'the same id');
    await it.quiet();
    same(await it.join('old'), 1, 'members');
    await publish(broker, { topic: 'old', data: 2 });
    same(await it.expect('message'), 2);
  });
}
