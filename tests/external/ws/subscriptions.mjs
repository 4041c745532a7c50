// Subscribing and unsubscribing: replies, arrays, ids digit for digit, duplicates, and what is in
// force when a reply has been seen (protocols.md sections 2, 3 and 11).

import { check, must, same, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { token } from '../lib/tokens.mjs';

const TIMESTAMP = /"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"/;

export default async function subscriptions() {
  await withBroker('subscriptions', {}, async (broker) => {
    const alice = await token('alice');
    const client = () => connect(broker, { token: alice });
    await replies(client);
    await ids(client);
    await force(client);
  });
  await withBroker('subscriptions', { limits: { subscriptions_max: 3 } }, bound);
}

async function replies(client) {
  await check('subscribe', async () => {
    const reply = await (await client()).ask({ type: 'subscribe', topic: 'a.b' });
    same(Object.keys(reply).sort(), ['timestamp', 'topic', 'type'], 'keys');
    same([reply.type, reply.topic], ['subscribed', 'a.b']);
    must(TIMESTAMP.test(reply.text), reply.text);
  });
  await check('subscribe to an array: a reply each, in order', async () => {
    const it = await client();
    it.send({ type: 'subscribe', topics: ['a', 'b.*', 'bad..topic', 'c.**'] });
    same((await it.expect('subscribed')).topic, 'a');
    same((await it.expect('subscribed')).topic, 'b.*');
    const error = await it.expect('error');
    same([error.code, error.details.topic], [400, 'bad..topic']);
    same((await it.expect('subscribed')).topic, 'c.**');
  });
  await check('a forbidden one of an array is named', async () => {
    const it = await client();
    it.send({ type: 'subscribe', topics: ['admin.x', 'a'] });
    const error = await it.expect('error');
    same([error.code, error.details.topic], [403, 'admin.x']);
    same((await it.expect('subscribed')).topic, 'a');
  });
  await check('the same subscription again: the same reply, one delivery', async () => {
    const it = await client();
    await it.subscribe('a', 'a');
    it.send({ type: 'message', topic: 'a', data: 1 }).send({ type: 'message', topic: 'a', data: 2 });
    same((await it.expect('message')).data, 1);
    same((await it.expect('message')).data, 2);
    // And it is one to unsubscribe.
    it.send({ type: 'unsubscribe', topic: 'a' });
    await it.expect('unsubscribed');
    await it.publish('a', 3);
    await it.quiet();
  });
  await check('unsubscribe, also from what was never subscribed to', async () => {
    const it = await client();
    const reply = await it.ask({ type: 'unsubscribe', topic: 'never.*' });
    same(Object.keys(reply).sort(), ['timestamp', 'topic', 'type'], 'keys');
    same([reply.type, reply.topic], ['unsubscribed', 'never.*']);
    it.send({ type: 'unsubscribe', topics: ['x', 'y'] });
    same((await it.expect('unsubscribed')).topic, 'x');
    same((await it.expect('unsubscribed')).topic, 'y');
  });
  await check('names of any UTF-8, `:` and `/`', async () => {
    const it = await client();
    for (const topic of ['té.日本.🚀', 'room:42/a', 'with space', 'UPPER.lower', '"quoted\\".x']) {
      await it.subscribe(topic);
      it.send({ type: 'message', topic, data: topic });
      same((await it.expect('message')).topic, topic, 'topic');
    }
  });
  await check('an escaped name is the same name', async () => {
    const it = await client();
    await it.subscribe('café');
    it.send('{"type":"message","topic":"caf\\u00e9","data":1}');
    same((await it.expect('message')).topic, 'café', 'topic');
    it.send('{"\\u0074ype":"unsubscribe","topic":"\\u0063afé"}');
    same((await it.expect('unsubscribed')).topic, 'café', 'topic');
    await it.publish('café', 1);
    await it.quiet();
  });
}

async function ids(client) {
  for (const id of ['"x"', '7', '-1', '12345678901234567890123', '1.50e+3', '0', '""', '"é\\u0041\\n"']) {
    await check(`id ${id} is echoed as it came`, async () => {
      const it = await client();
      it.send(`{"type":"subscribe","topic":"a","id":${id}}`);
      const { text } = await it.expect('subscribed');
      const digits = !id.startsWith('"');
      must(digits ? text.includes(`"id":${id}`) : 'id' in JSON.parse(text), text);
      same(JSON.parse(text).id, JSON.parse(id), 'id');
    });
  }
  await check('the id stands on each reply to an array', async () => {
    const it = await client();
    it.send('{"type":"subscribe","topics":["a","b..c"],"id":90071992547409931}');
    must((await it.expect('subscribed')).text.includes('"id":90071992547409931'), 'not on the first');
    must((await it.expect('error')).text.includes('"id":90071992547409931'), 'not on the error');
  });
  await check('id null counts as absent', async () => {
    const reply = await (await client()).ask({ type: 'subscribe', topic: 'a', id: null });
    must(reply.type === 'subscribed' && !('id' in reply), reply.text);
  });
}

async function force(client) {
  await check('in force when `subscribed` has been seen, over many rounds', async () => {
    const [reader, writer] = [await client(), await client()];
    for (let n = 0; n < 100; n += 1) {
      await reader.subscribe(`round.${n}`);
      writer.send({ type: 'message', topic: `round.${n}`, data: n });
      same((await reader.expect('message')).data, n);
    }
  });
  await check('over when `unsubscribed` has been seen, over many rounds', async () => {
    const [reader, writer] = [await client(), await client()];
    await reader.subscribe('last');
    for (let n = 0; n < 50; n += 1) {
      await reader.subscribe(`round.${n}`);
      await reader.ask({ type: 'unsubscribe', topic: `round.${n}` });
      writer.send({ type: 'message', topic: `round.${n}`, data: n });
      writer.send({ type: 'message', topic: 'last', data: n });
      same((await reader.expect('message')).topic, 'last', 'topic');
    }
  });
  await check('a subscriber that is gone is gone', async () => {
    const [reader, writer] = [await client(), await client()];
    await reader.subscribe('a');
    await reader.close();
    await writer.publish('a', 1);
    await writer.quiet();
  });
}

async function bound(broker) {
  await check('too many subscriptions are 403', async () => {
    const it = await connect(broker, { token: await token('alice') });
    await it.subscribe('a', 'b', 'c', 'c');
    const reply = await it.ask({ type: 'subscribe', topic: 'd' });
    same([reply.type, reply.code], ['error', 403]);
    await it.ask({ type: 'unsubscribe', topic: 'a' });
    await it.subscribe('d');
  });
}
