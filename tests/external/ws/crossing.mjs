// One topic space under several dialects: what is published through one reaches the subscribers of
// all, each in its own form (protocols.md sections 1, 3, 4 and 11).

import { check, must, same, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { api, publish, settled } from '../lib/http.mjs';
import { join, member, post, silent, ticket } from './membership.mjs';

// Of every kind of JSON that a broker could be tempted to write anew.
const DATA = '{"z":1.0, "a":12345678901234567890,"e":"\\u00e9","a":[null,1e400]}';
const MESSAGES = 300;

export default async function crossing() {
  await withBroker('crossing', {
    rule: [{ topic: '**', allow: ['subscribe', 'publish'], decide: 'allow' }],
    history: [{ topic: 'kept.**', size: 10, ttl_s: 60 }],
  }, async (broker) => {
    await ways(broker);
    await addressed(broker);
    await together(broker);
  });
}

// A connection in each dialect, all in this topic, and a topics client by pattern.
async function everyone(broker, topic) {
  await settled(broker);
  const client = async (user, path, ...patterns) => {
    const it = await connect(broker, { path, token: ticket(user, 'acme') });
    await it.subscribe(...patterns);
    const { json } = await api(broker, 'GET', `/api/connections?userId=${user}&tenantId=acme`);
    it.id = json.items[0].connectionId;
    return it;
  };
  return {
    topics: await client('tom', '/ws', topic),
    pattern: await client('pat', '/ws', topic.replace(/[^.]+$/, '*'), '**'),
    events: await client('eve', '/events', topic),
    channels: await join(await member(broker, 'cha', 'acme'), topic),
  };
}

// Each gets the publish in its own form, with the data byte for byte.
async function arrives(all, topic, { sender, event = 'message', metadata = {}, data = DATA }, but = []) {
  for (const [name, it] of Object.entries(all).filter(([name]) => !but.includes(name))) {
    const { text } = await it.frame();
    const { timestamp, ...frame } = JSON.parse(text);
    must(text.includes(`:${data}`), `${name}: ${text}`);
    if (name === 'channels') {
      const { timestamp: at, message, ...rest } = frame.data;
      must(Date.parse(at) > 0, text);
      same([frame.type, rest], ['channel_message', { channel: topic, sender }], name);
    } else {
      must(Date.parse(timestamp) > 0, text);
      const { data: parsed, ...rest } = frame;
      const own = metadata.senderId || !sender.id ? metadata : { ...metadata, senderId: sender.id };
      same(
        rest,
        name === 'events'
          ? { type: event, topic }
          : { type: 'message', topic, eventType: event, metadata: own },
        name,
      );
    }
  }
  await quiet(all);
}

// Nothing else is under way to any.
async function quiet({ channels, ...others }) {
  await silent(channels);
  for (const it of Object.values(others)) await it.quiet();
}

async function ways(broker) {
  for (const topic of ['board.1', 'public:news']) {
    await check(`${topic}: from topics to all`, async () => {
      const all = await everyone(broker, topic);
      const sender = { id: 'tom', connectionId: all.topics.id };
      all.topics.send(`{"type":"message","topic":"${topic}","data":${DATA}}`);
      await arrives(all, topic, { sender });
      const more = '"eventType":"moved","metadata":{"k":1,"senderId":"forged"},"echo":false';
      all.topics.send(`{"type":"message","topic":"${topic}","data":${DATA},${more}}`);
      await arrives(all, topic, { sender, event: 'moved', metadata: { k: 1 } }, ['topics']);
    });
    await check(`${topic}: from events to all`, async () => {
      const all = await everyone(broker, topic);
      all.events.send(`{"type":"message","topic":"${topic}","data":${DATA},"eventType":"moved"}`);
      await arrives(all, topic, { sender: { id: 'eve', connectionId: all.events.id }, event: 'moved' });
    });
    await check(`${topic}: from channels to all others`, async () => {
      const all = await everyone(broker, topic);
      all.channels.send(`{"type":"send_message","data":{"channel":"${topic}","message":${DATA}}}`);
      await arrives(all, topic, { sender: { id: 'cha', connectionId: all.channels.id } }, ['channels']);
    });
    await check(`${topic}: from HTTP to all`, async () => {
      const all = await everyone(broker, topic);
      const { json } = await publish(broker, `{"topic":"${topic}","data":${DATA}}`);
      same(json, { delivered: 4 });
      await arrives(all, topic, { sender: { id: null, connectionId: null } });
      const metadata = { k: 1, senderId: 'billing' };
      await publish(broker, `{"topic":"${topic}","data":${DATA},"eventType":"paid","metadata":${JSON.stringify(metadata)}}`);
      await arrives(all, topic, { sender: { id: 'billing', connectionId: null }, event: 'paid', metadata });
    });
  }
}

// What is addressed is a whole frame for `channels`, and taken apart for the others.
async function addressed(broker) {
  const cases = [
    ['{"type":"moved","data":{"n":1.0}}', 'moved', '{"n":1.0}'],
    ['{"type":"moved","n":1.0}', 'moved', '{"type":"moved","n":1.0}'],
    ['{"type":7,"data":"x"}', 'notification', '"x"'],
    ['"hello"', 'notification', '"hello"'],
  ];
  for (const [what, path, topic] of [
    ['a send to a channel', '/api/channels/board.1/send', 'board.1'],
    ['a broadcast', '/api/broadcast', 'broadcast'],
    ['a tenant’s broadcast', '/api/tenants/acme/broadcast', 'tenant.acme'],
  ]) {
    await check(`${what} in the form of each dialect`, async () => {
      const all = await everyone(broker, 'board.1');
      for (const [message, event, data] of cases) {
        const { json } = await api(broker, 'POST', path, `{"message":${message}}`);
        same(json, { delivered: 4 }, message);
        same((await all.channels.frame()).text, message);
        for (const name of ['topics', 'pattern', 'events']) {
          const { text } = await all[name].frame();
          must(text.includes(`"data":${data}`), text);
          const frame = JSON.parse(text);
          same([frame.topic, name === 'events' ? frame.type : frame.eventType], [topic, event], text);
        }
      }
      await quiet(all);
    });
  }
}

async function together(broker) {
  await check('what each publishes arrives in its order, in every dialect', async () => {
    const all = await everyone(broker, 'board.1');
    for (let n = 0; n < MESSAGES; n += 1) {
      all.topics.send({ type: 'message', topic: 'board.1', data: ['t', n] });
      all.events.send({ type: 'message', topic: 'board.1', data: ['e', n] });
      post(all.channels, 'board.1', ['c', n]);
    }
    for (const [name, it] of Object.entries(all)) {
      const next = { t: 0, e: 0, c: name === 'channels' ? MESSAGES : 0 };
      while (Object.values(next).some((n) => n < MESSAGES)) {
        const { data } = await it.next();
        const [from, n] = name === 'channels' ? data.message : data;
        same(n, next[from], `${name}: the next of ${from}`);
        next[from] += 1;
      }
    }
    await quiet(all);
  });
  await check('on a topic with history all see one order', async () => {
    const all = await everyone(broker, 'kept.1');
    for (let n = 0; n < MESSAGES; n += 1) {
      all.topics.send({ type: 'message', topic: 'kept.1', data: n });
      all.events.send({ type: 'message', topic: 'kept.1', data: -n });
    }
    const seen = {};
    for (const [name, it] of Object.entries(all)) {
      seen[name] = [];
      while (seen[name].length < 2 * MESSAGES) {
        const { data } = await it.next();
        seen[name].push(name === 'channels' ? data.message : data);
      }
    }
    for (const name of Object.keys(all)) must(`${seen[name]}` === `${seen.topics}`, `${name} differs`);
    const { items } = (await api(broker, 'GET', '/api/topics/kept.1/history')).json;
    same(items.map(({ data }) => data), seen.topics.slice(-10), 'history');
  });
  await check('the operator sees them all in one topic', async () => {
    await everyone(broker, 'board.1');
    const { json } = await api(broker, 'GET', '/api/topics/board.1/presence');
    same([json.connections, json.items.map(({ userId }) => userId).sort()], [4, ['cha', 'eve', 'pat', 'tom']]);
    same((await api(broker, 'GET', '/api/topics/board.1')).json.connections, 4, 'connections');
  });
  await check('a room left in one dialect stays in the others', async () => {
    const all = await everyone(broker, 'board.1');
    const left = await all.channels.ask({ type: 'leave_channel', data: { channel: 'board.1' } });
    same(left.type, 'channel_left');
    const off = await all.topics.ask({ type: 'unsubscribe', topic: 'board.1' });
    same(off.type, 'unsubscribed');
    same((await publish(broker, { topic: 'board.1', data: 1 })).json, { delivered: 2 });
    await all.events.expect('message');
    await all.pattern.expect('message');
    await quiet(all);
  });
}
