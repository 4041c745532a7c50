// Rooms (protocols.md sections 5 and 11): joining and leaving, acknowledgements, messages to all
// members, and the same room as a topic of the other dialects and of HTTP.

import { check, must, same } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { publish, settled } from '../lib/http.mjs';
import { token } from '../lib/tokens.mjs';
import { members, open } from './clients.mjs';

const MESSAGES = 200;

export default async function rooms(broker, kind) {
  await membership(broker, kind);
  await messages(broker, kind);
  await crossing(broker, kind);
}

// A message less what the broker adds, which must be as it ought.
export function stripped({ id, timestamp, ...rest }) {
  must(typeof id === 'string' && id.length > 0, `id ${JSON.stringify(id)}`);
  must(new Date(timestamp).toISOString() === timestamp, `timestamp ${timestamp}`);
  return rest;
}

async function membership(broker, kind) {
  await check('join: acknowledged and told, with the number of members', async () => {
    const [ann, bob] = [await open(broker, kind, 'ann'), await open(broker, kind, 'bob')];
    same(await ann.join('chat-room'), 1, 'members');
    same(await bob.join('chat-room', { metadata: { device: 'mobile' } }), 2, 'members');
    same(await ann.join('chat-room'), 2, 'members when joined again');
    await ann.quiet();
    await bob.quiet();
  });
  await check('without an acknowledgement it is told all the same', async () => {
    const ann = await open(broker, kind, 'ann');
    ann.emit('join_room', { room: 'plain' });
    same(await ann.expect('room_joined'), { success: true, room: 'plain', memberCount: 1 });
    ann.emit('leave_room', { room: 'plain' });
    same(await ann.expect('room_left'), { success: true, room: 'plain' });
  });
  await check('joined twice, a message comes once', async () => {
    const [ann] = await members(broker, kind, 'twice', 'ann');
    await ann.join('twice');
    await ann.ask('message', { room: 'twice', content: 1 });
    same((await ann.expect('message')).content, 1);
    await ann.quiet();
  });
  await check('leave: acknowledged and told; nothing comes after it', async () => {
    const [ann, bob] = await members(broker, kind, 'left', 'ann', 'bob');
    await ann.leave('left');
    await bob.ask('message', { room: 'left', content: 'gone' });
    same((await bob.expect('message')).content, 'gone');
    await ann.quiet();
    await ann.leave('left');
    same(await ann.join('left'), 2, 'members');
  });
  await check('in force when it has been acknowledged', async () => {
    const [ann, bob] = [await open(broker, kind, 'ann'), await open(broker, kind, 'bob')];
    for (let n = 0; n < 20; n += 1) {
      await ann.join(`force-${n}`);
      same((await publish(broker, { topic: `force-${n}`, data: n })).json, { delivered: 1 });
      same(await ann.expect('message'), n);
    }
    await bob.quiet();
  });
  await check('a client that goes is no member', async () => {
    await settled(broker);
    const [ann, bob] = await members(broker, kind, 'going', 'ann', 'bob');
    ann.socket.disconnect();
    await settled(broker, 1);
    same(await bob.join('going'), 1, 'members');
  });
}

async function messages(broker, kind) {
  await check('a message reaches every member, the sender too, and nobody else', async () => {
    const [ann, bob] = await members(broker, kind, 'talk', 'ann', 'bob');
    const [eve] = await members(broker, kind, 'other', 'eve');
    const sent = { from: 'ann', room: 'talk', content: 'hello 日本 🚀', type: 'text', metadata: { z: 1.5, a: [null, '"\\'] } };
    const { success, ...told } = await ann.ask('message', sent);
    must(success === true, JSON.stringify(told));
    for (const member of [ann, bob]) {
      const message = await member.expect('message');
      same(stripped(message), sent, 'message');
      same({ id: message.id, timestamp: message.timestamp }, told, 'the acknowledgement');
    }
    await Promise.all([ann, bob, eve].map((it) => it.quiet()));
  });
  await check('`from` is the authenticated user, `type` is text unless it is given', async () => {
    const [ann] = await members(broker, kind, 'names', 'ann');
    for (const [sent, type] of [
      [{ from: 'bob', room: 'names', content: 1 }, 'text'],
      [{ room: 'names', content: { deep: [1] }, type: 'image' }, 'image'],
      [{ from: 'ann', id: 'mine', timestamp: 'mine', room: 'names', content: null, type: 'system' }, 'system'],
    ]) {
      ann.emit('message', sent);
      const message = stripped(await ann.expect('message'));
      same([message.from, message.room, message.content, message.type], ['ann', 'names', sent.content, type]);
    }
  });
  await check(`${MESSAGES} messages from two, each in its order and once`, async () => {
    // Sent as soon as they are connected: where a client upgrades, it does so under way.
    const [ann, bob] = await members(broker, kind, 'order', 'ann', 'bob');
    for (let n = 0; n < MESSAGES; n += 1) {
      for (const it of [ann, bob]) it.emit('message', { room: 'order', content: n });
    }
    if (kind.transport === 'default') await Promise.all([ann.upgraded(), bob.upgraded()]);
    for (const it of [ann, bob]) {
      const next = { ann: 0, bob: 0 };
      while (next.ann < MESSAGES || next.bob < MESSAGES) {
        const { from, content } = await it.expect('message');
        same(content, next[from], `the next of ${from}`);
        next[from] += 1;
      }
      await it.quiet();
    }
    same(ann.transport, kind.transports?.[0] ?? 'websocket', 'transport');
  });
  await check('a large message comes back whole', async () => {
    const [ann] = await members(broker, kind, 'large', 'ann');
    const content = 'é🚀"\\'.repeat(30_000);
    ann.emit('message', { room: 'large', content });
    must((await ann.expect('message')).content === content, 'another text');
  });
}

async function crossing(broker, kind) {
  await check('a room is a topic: a topics client hears the message, and is heard', async () => {
    const [ann] = await members(broker, kind, 'cross.1', 'ann');
    const tom = await connect(broker, { token: await token('tom') });
    await tom.subscribe('cross.1', 'cross.*');
    const sent = { from: 'ann', room: 'cross.1', content: 'to all', type: 'text' };
    await ann.ask('message', sent);
    const heard = await tom.expect('message');
    same([heard.topic, heard.eventType, heard.metadata.senderId], ['cross.1', 'message', 'ann']);
    same(stripped(heard.data), sent, 'data');
    same(await ann.expect('message'), heard.data, 'what both hear');
    tom.send({ type: 'message', topic: 'cross.1', data: { from: 'tom' } });
    same(await ann.expect('message'), { from: 'tom' });
    tom.send({ type: 'message', topic: 'cross.1', eventType: 'moved', data: [1, 2] });
    same(await ann.expect('moved'), [1, 2]);
    await ann.quiet();
  });
  await check('a publish over HTTP is the event of its type, with the data as its argument', async () => {
    const [ann] = await members(broker, kind, 'http', 'ann');
    for (const data of [{ n: 1 }, [1, 'two'], 'text', null]) {
      same((await publish(broker, { topic: 'http', eventType: 'news', data })).json, { delivered: 1 });
      same(await ann.expect('news'), data);
    }
    await publish(broker, { topic: 'http', data: 7 });
    same(await ann.expect('message'), 7);
    await ann.quiet();
  });
}
