// What is refused with an `error` while the connection stays: every kind of 400, and the form of an
// error (protocols.md sections 2, 3 and 11).

import { check, must, same, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { token } from '../lib/tokens.mjs';

const FRAMES = {
  'no JSON': 'hello',
  'an empty frame': '',
  'a cut object': '{"type":"ping"',
  'something behind the object': '{"type":"ping"} x',
  'two objects': '{"type":"ping"}{"type":"ping"}',
  'a trailing comma': '{"type":"ping",}',
  'single quotes': "{'type':'ping'}",
  'a bad number': '{"type":"message","topic":"a","data":01}',
  'NaN': '{"type":"message","topic":"a","data":NaN}',
  'a raw control character in a string': '{"type":"message","topic":"a","data":"\u0001"}',
  'a bad escape': '{"type":"message","topic":"a","data":"\\x"}',
  'a lone surrogate in data': '{"type":"message","topic":"a","data":"\\ud800"}',
  'a lone surrogate in a key of data': '{"type":"message","topic":"a","data":{"\\udc00":1}}',
  'a lone surrogate in metadata': '{"type":"message","topic":"a","data":1,"metadata":{"k":"\\ud800x"}}',
  'a lone surrogate in the topic': '{"type":"subscribe","topic":"\\ud800"}',
  'a lone surrogate in an unknown key': '{"type":"ping","x":"\\udfff"}',
  'a list': '[{"type":"ping"}]',
  'a string': '"ping"',
  'null': 'null',
  'no type': '{}',
  'an unknown type': '{"type":"publish","topic":"a"}',
  'a type of another case': '{"type":"Ping"}',
  'a type that is no string': '{"type":1}',
  'a type that is null': '{"type":null}',
  'a duplicate type': '{"type":"ping","type":"ping"}',
  'a duplicate topic': '{"type":"subscribe","topic":"a","topic":"b"}',
  'a duplicate by an escape': '{"type":"subscribe","topic":"a","t\\u006fpic":"b"}',
  'a duplicate data': '{"type":"message","topic":"a","data":1,"data":2}',
  'a duplicate id': '{"type":"ping","id":1,"id":2}',
  'subscribe without a topic': '{"type":"subscribe"}',
  'subscribe with a null topic': '{"type":"subscribe","topic":null}',
  'subscribe with a number': '{"type":"subscribe","topic":1}',
  'subscribe with topic and topics': '{"type":"subscribe","topic":"a","topics":["b"]}',
  'subscribe with no topics': '{"type":"subscribe","topics":[]}',
  'subscribe with topics that is no list': '{"type":"subscribe","topics":"a"}',
  'subscribe with a list of numbers': '{"type":"subscribe","topics":[1]}',
  'unsubscribe without a topic': '{"type":"unsubscribe"}',
  'unsubscribe with a malformed pattern': '{"type":"unsubscribe","topic":"a*"}',
  'message without data': '{"type":"message","topic":"a"}',
  'message without a topic': '{"type":"message","data":1}',
  'message with topics': '{"type":"message","topics":["a"],"data":1}',
  'metadata that is a list': '{"type":"message","topic":"a","data":1,"metadata":[]}',
  'metadata that is a string': '{"type":"message","topic":"a","data":1,"metadata":"x"}',
  'eventType that is a number': '{"type":"message","topic":"a","data":1,"eventType":1}',
  'echo that is a string': '{"type":"message","topic":"a","data":1,"echo":"false"}',
  'id that is a list': '{"type":"ping","id":[]}',
  'id that is true': '{"type":"ping","id":true}',
};

const BAD_TOPICS = {
  empty: '',
  'an empty first segment': '.a',
  'an empty last segment': 'a.',
  'an empty middle segment': 'a..b',
  'a dot alone': '.',
  'U+0000': 'a\u0000b',
  'U+001F': 'a\u001fb',
  'a line feed': 'a\n',
  'U+007F': 'a\u007fb',
  'U+0080': 'a\u0080b',
  'U+009F': 'a\u009fb',
  '257 bytes': 'x'.repeat(257),
  '257 bytes of two each': `${'é'.repeat(128)}x`,
  '33 segments': Array(33).fill('s').join('.'),
};

const BAD_PATTERNS = ['a*', '*a', 'a.***', 'a**.b', 'x.a*b.c'];

export default async function errors() {
  await withBroker('errors', {}, async (broker) => {
    const it = async () => connect(broker, { token: await token('alice') });
    for (const [name, frame] of Object.entries(FRAMES)) {
      await check(`400: ${name}`, async () => refused(await it(), frame));
    }
    for (const [name, topic] of Object.entries(BAD_TOPICS)) {
      await check(`400: topic ${name}`, async () => {
        const client = await it();
        await refused(client, JSON.stringify({ type: 'subscribe', topic }));
        await refused(client, JSON.stringify({ type: 'message', topic, data: 1 }));
      });
    }
    for (const topic of BAD_PATTERNS) {
      await check(`400: pattern ${topic}`, async () => {
        await refused(await it(), JSON.stringify({ type: 'subscribe', topic }));
      });
    }
    for (const topic of ['*', '**', 'a.*', 'a.**.b', 'a*']) {
      await check(`400: publish to ${topic}`, async () => {
        await refused(await it(), JSON.stringify({ type: 'message', topic, data: 1 }));
      });
    }
    await check('400: a binary frame that is no UTF-8', async () => {
      await refused(await it(), Buffer.from([0x7b, 0xff, 0xfe, 0x7d]));
    });
    await check('400: a binary frame that is no JSON', async () => refused(await it(), Buffer.from([0, 1, 2])));
    await fits(it);
    await check('an error echoes the id', async () => {
      const client = await it();
      client.send('{"type":"subscribe","topic":"a..b","id":12345678901234567890}');
      must((await client.expect('error')).text.includes('"id":12345678901234567890'), 'no id');
      client.send('{"type":"nonsense","id":"n"}');
      same((await client.expect('error')).id, 'n');
    });
    await check('unknown keys are ignored', async () => {
      const client = await it();
      client.send('{"type":"subscribe","topic":"a","extra":{"a":[1]},"version":2}');
      await client.expect('subscribed');
    });
  });
}

// What is just within the bounds of section 2.
async function fits(it) {
  await check('a topic of 256 bytes and one of 32 segments are good', async () => {
    const client = await it();
    await client.subscribe('x'.repeat(256), 'é'.repeat(128), Array(32).fill('s').join('.'));
    client.send({ type: 'message', topic: 'x'.repeat(256), data: 1 });
    same((await client.expect('message')).data, 1);
  });
}

// The frame is answered with a well-formed 400, and the connection is as good as before.
async function refused(client, frame) {
  const reply = await client.ask(frame);
  same([reply.type, reply.code], ['error', 400], `reply ${reply.text.slice(0, 200)}, its type and code`);
  must(typeof reply.message === 'string' && reply.message.length > 0, reply.text);
  must(reply.details !== null && typeof reply.details === 'object' && !Array.isArray(reply.details), reply.text);
  must(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(reply.timestamp), reply.text);
  await client.quiet();
}
