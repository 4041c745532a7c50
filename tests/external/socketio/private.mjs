// What concerns one socket or the people around it (protocols.md sections 5 and 11): messages to a
// socket's id, typing, presence.

import { check, must, same } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { token } from '../lib/tokens.mjs';
import { members, open } from './clients.mjs';
import { stripped } from './rooms.mjs';

export default async function privately(broker, kind) {
  await direct(broker, kind);
  await typing(broker, kind);
  await presence(broker, kind);
}

async function direct(broker, kind) {
  await check('a message to a socket’s id reaches that socket alone', async () => {
    const [ann, bob, eve] = await members(broker, kind, 'around', 'ann', 'bob', 'eve');
    const tom = await connect(broker, { token: await token('tom') });
    // As if it were a topic: it is none.
    await tom.subscribe(bob.id, 'around');
    const sent = { from: 'ann', to: bob.id, content: 'psst', type: 'text' };
    const { success, delivered, ...told } = await ann.ask('message', sent);
    same([success, delivered], [true, 1], 'the acknowledgement');
    const message = await bob.expect('message');
    same(stripped(message), sent, 'message');
    same({ id: message.id, timestamp: message.timestamp }, told, 'the acknowledgement');
    for (const it of [ann, bob, eve, tom]) await it.quiet();
  });
  await check('bytes go there too', async () => {
    const [ann, bob] = [await open(broker, kind, 'ann'), await open(broker, kind, 'bob')];
    await ann.ask('message', { to: bob.id, content: Buffer.from([0, 255]) });
    same([...(await bob.expect('message')).content], [0, 255]);
  });
  await check('to oneself, and to nobody', async () => {
    const ann = await open(broker, kind, 'ann');
    same((await ann.ask('message', { to: ann.id, content: 'me' })).delivered, 1, 'delivered');
    same((await ann.expect('message')).content, 'me');
    for (const to of ['nobody', `${ann.id.slice(0, -1)}${ann.id.endsWith('A') ? 'E' : 'A'}`]) {
      const { success, delivered } = await ann.ask('message', { to, content: 1 });
      same([success, delivered], [true, 0], `to ${to}`);
    }
    await ann.quiet();
  });
}

async function typing(broker, kind) {
  await check('typing is told to the other members, once a second', async () => {
    const [ann, bob] = await members(broker, kind, 'typing', 'ann', 'bob');
    const [eve] = await members(broker, kind, 'elsewhere', 'eve');
    for (let n = 0; n < 3; n += 1) ann.emit('typing_start', { room: 'typing' });
    for (const event of ['typing_start', 'typing_stop']) {
      if (event === 'typing_stop') ann.emit(event, { room: 'typing' });
      const { timestamp, ...rest } = await bob.expect(event);
      must(new Date(timestamp).toISOString() === timestamp, `timestamp ${timestamp}`);
      same(rest, { room: 'typing', userId: 'ann', socketId: ann.id }, event);
    }
    // Behind what was dropped comes what is not.
    await ann.ask('message', { room: 'typing', content: 'done' });
    same((await bob.expect('message')).content, 'done');
    same((await ann.expect('message')).content, 'done');
    for (const it of [ann, bob, eve]) await it.quiet();
  });
}

async function presence(broker, kind) {
  await check('presence is told once to those who share a room, the latest wins', async () => {
    const [ann, bob] = await members(broker, kind, 'presence', 'ann', 'bob');
    const [eve] = await members(broker, kind, 'far', 'eve');
    for (const it of [ann, bob]) await it.join('presence-too');
    for (const status of ['away', 'busy', 'offline', 'online']) ann.emit('presence_update', status);
    for (const status of ['away', 'online']) {
      const { lastSeen, ...rest } = await bob.expect('presence_update');
      must(new Date(lastSeen).toISOString() === lastSeen, `lastSeen ${lastSeen}`);
      same(rest, { userId: 'ann', status });
    }
    for (const it of [ann, bob, eve]) await it.quiet();
  });
}
