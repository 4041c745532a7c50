// Publishing: replies, echo, eventType, senderId, and order (protocols.md sections 2, 3 and 11).

import { check, must, same, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { token } from '../lib/tokens.mjs';

const MESSAGES = 1000;

export default async function publishing() {
  await withBroker('publishing', {}, async (broker) => {
    const alice = await token('alice');
    const client = () => connect(broker, { token: alice });
    await replies(client);
    await delivery(client, broker);
    await order(client);
  });
}

async function replies(client) {
  await check('without an id there is no reply', async () => {
    const it = await client();
    it.send({ type: 'message', topic: 'a', data: 1 });
    it.send({ type: 'message', topic: 'a', data: 1, id: null });
    await it.quiet();
  });
  await check('with an id there is `published`', async () => {
    const it = await client();
    it.send('{"type":"message","topic":"a","data":1,"id":12345678901234567890}');
    const reply = await it.expect('published');
    same(Object.keys(reply).sort(), ['id', 'timestamp', 'topic', 'type'], 'keys');
    same(reply.topic, 'a');
    must(reply.text.includes('"id":12345678901234567890'), reply.text);
  });
}

async function delivery(client, broker) {
  await check('a delivery has its six keys', async () => {
    const it = await client();
    await it.subscribe('a');
    it.send({ type: 'message', topic: 'a', data: { n: 1 } });
    const { timestamp, ...rest } = await it.expect('message');
    same(rest.data, { n: 1 }, 'data');
    same(rest.metadata, { senderId: 'alice' }, 'metadata');
    same([rest.topic, rest.eventType], ['a', 'message']);
    same(Object.keys(rest).sort(), ['data', 'eventType', 'metadata', 'topic', 'type'], 'keys');
    must(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(timestamp), timestamp);
    must(Math.abs(Date.parse(timestamp) - Date.now()) < 60_000, `not now: ${timestamp}`);
  });
  await check('eventType as given, also the empty one; null is none', async () => {
    const it = await client();
    await it.subscribe('a');
    for (const [given, seen] of [['order_made', 'order_made'], ['', ''], [null, 'message'], ['é"\\', 'é"\\']]) {
      it.send({ type: 'message', topic: 'a', data: 1, eventType: given });
      same((await it.expect('message')).eventType, seen, 'eventType');
    }
  });
  await check('echo: false spares the publisher alone', async () => {
    const [it, other] = [await client(), await client()];
    await it.subscribe('a');
    await other.subscribe('a');
    for (const echo of [false, true, null]) it.send({ type: 'message', topic: 'a', data: String(echo), echo });
    for (const data of ['true', 'null']) same((await it.expect('message')).data, data);
    for (const data of ['false', 'true', 'null']) same((await other.expect('message')).data, data);
  });
  await check('a publisher that did not subscribe gets nothing', async () => {
    const it = await client();
    await it.publish('a', 1);
    await it.quiet();
  });
  await check('senderId is the broker’s own', async () => {
    const it = await client();
    const bob = await connect(broker, { token: await token('bob') });
    await it.subscribe('a');
    for (const key of ['"senderId"', '"sender\\u0049d"']) {
      bob.send(`{"type":"message","topic":"a","data":1,"metadata":{${key}:"mallory","k":1,${key}:"eve","z":2}}`);
      const { metadata, text } = await it.expect('message');
      same([metadata.senderId, metadata.k, metadata.z], ['bob', 1, 2]);
      must(!/mallory|eve"/.test(text), text);
    }
  });
  await check('another user’s connection gets the same message', async () => {
    const bob = await connect(broker, { token: await token('bob') });
    const it = await client();
    await bob.subscribe('shared.*');
    await it.subscribe('shared.x');
    it.send({ type: 'message', topic: 'shared.x', data: [1] });
    same((await bob.expect('message')).text, (await it.expect('message')).text, 'text');
  });
}

async function order(client) {
  await check(`${MESSAGES} messages of one publisher, in order, at three subscribers`, async () => {
    const readers = [await client(), await client(), await client()];
    await readers[0].subscribe('o.x');
    await readers[1].subscribe('o.*');
    await readers[2].subscribe('o.**', 'o.x');
    const writer = await client();
    for (let n = 0; n < MESSAGES; n += 1) writer.send({ type: 'message', topic: 'o.x', data: n });
    for (const reader of readers) {
      for (let n = 0; n < MESSAGES; n += 1) same((await reader.expect('message')).data, n);
      await reader.quiet();
    }
  });
  await check('three publishers at once: each one’s order is kept', async () => {
    const reader = await client();
    await reader.subscribe('o.**');
    const writers = [await client(), await client(), await client()];
    for (let n = 0; n < 300; n += 1) {
      writers.forEach((writer, w) => writer.send({ type: 'message', topic: 'o.y', data: [w, n] }));
    }
    const seen = [0, 0, 0];
    for (let all = 0; all < 900; all += 1) {
      const [w, n] = (await reader.expect('message')).data;
      same(n, seen[w], `number from publisher ${w}`);
      seen[w] += 1;
    }
  });
}
