// `data` and the publisher's `metadata` arrive byte for byte (protocols.md section 3): compared in
// the raw text of the frame, for a parser would hide the difference.

import { check, must, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { token } from '../lib/tokens.mjs';

const VALUES = {
  null: 'null',
  true: 'true',
  'an integer beyond 2^53': '12345678901234567890123',
  'a float as written': '-1.50E+0007',
  'minus zero': '-0.0',
  'a number beyond f64': '1e999',
  'a string': '"plain"',
  'an empty string': '""',
  'escapes as written': '"\\u0041\\/\\"\\\\\\b\\f\\n\\r\\t\\u00e9"',
  'an escaped pair of surrogates': '"\\ud83d\\ude80"',
  'raw UTF-8': '"é 日本 🚀 \u2028 \u007f"',
  'key order': '{"z":1,"a":2,"10":3,"2":4}',
  'duplicate keys': '{"a":1,"a":{"a":2,"a":3}}',
  'keys with escapes': '{"\\u0061":1,"\\"":2}',
  'blanks inside': '{ "a" : [ 1 ,\t2 , { } ] ,\n"b":\r\n"c" }',
  'an empty object': '{}',
  'an empty list': '[]',
  'what looks like an envelope': '{"type":"subscribe","topic":"x","data":{"type":"ping"}}',
  'deep nesting': '['.repeat(60) + ']'.repeat(60),
  'a long string': `"${'x'.repeat(100_000)}"`,
  'many numbers': `[${Array.from({ length: 5000 }, (_, n) => `${n}.0`).join()}]`,
};

export default async function payload() {
  await withBroker('payload', {}, async (broker) => {
    const alice = await token('alice');
    const client = () => connect(broker, { token: alice });
    for (const [name, value] of Object.entries(VALUES)) {
      await check(`data: ${name}`, async () => {
        const it = await client();
        await it.subscribe('a');
        it.send(`{"type":"message","topic":"a","data":${value},"eventType":"e"}`);
        contains(await it.expect('message'), `"data":${value}`);
      });
      await check(`metadata: ${name}`, async () => {
        const it = await client();
        await it.subscribe('a');
        it.send(`{"metadata":{"k":${value},"l":1},"type":"message","topic":"a","data":1}`);
        contains(await it.expect('message'), `"k":${value}`);
      });
    }
    await check('data in any place of the envelope, with blanks around', async () => {
      const it = await client();
      await it.subscribe('a');
      it.send(' {\n"data" :\t{"x": 1.0} , "topic": "a",\r\n"type" : "message" } ');
      contains(await it.expect('message'), '"data":{"x": 1.0}');
    });
    await check('duplicate keys of metadata stay', async () => {
      const it = await client();
      await it.subscribe('a');
      it.send('{"type":"message","topic":"a","data":1,"metadata":{"k":1,"k":2}}');
      const message = await it.expect('message');
      contains(message, '"k":1');
      contains(message, '"k":2');
    });
    await check('a binary frame holding JSON is read, and delivered as text', async () => {
      const it = await client();
      await it.subscribe('a');
      it.send(Buffer.from('{"type":"message","topic":"a","data":{"é":1.0}}'));
      contains(await it.expect('message'), '"data":{"é":1.0}');
    });
  });
}

function contains({ text }, part) {
  // What follows has to be the next key or the end: a prefix of a number would do otherwise.
  const at = text.indexOf(part);
  must(at >= 0 && /[,}]/.test(text[at + part.length]), () => `${brief(part)} is not in ${brief(text)}`);
}

const brief = (text) => (text.length > 300 ? `${text.slice(0, 300)}…` : text);
