// permessage-deflate (RFC 7692) with npm `ws`: agreed on only when switched on, right in both
// directions, bounded when inflated (protocols.md section 9).

import { check, must, same, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { token } from '../lib/tokens.mjs';

const LIMIT = 262_144;
const SETTINGS = { websocket: { compression: true, compression_min_bytes: 512, max_message_bytes: LIMIT } };
const TEXT = JSON.stringify(Array.from({ length: 2000 }, (_, n) => ({ n, name: `name of ${n % 7}` })));

// What a client may offer, and what the answer has to hold.
const OFFERS = {
  'the plain offer': [true],
  'client_no_context_takeover': [{ clientNoContextTakeover: true }],
  'server_no_context_takeover': [{ serverNoContextTakeover: true }, /server_no_context_takeover/],
  'server_max_window_bits=10': [{ serverMaxWindowBits: 10 }, /server_max_window_bits=10/],
  'client_max_window_bits=10': [{ clientMaxWindowBits: 10 }],
};

export default async function deflate() {
  await withBroker('deflate', SETTINGS, async (broker) => {
    const alice = await token('alice');
    for (const [name, [offer, holds]] of Object.entries(OFFERS)) {
      await check(`both ways with ${name}`, async () => {
        const it = await connect(broker, { token: alice, perMessageDeflate: offer });
        must(/^permessage-deflate/.test(it.extensions), `extensions "${it.extensions}"`);
        if (holds) must(holds.test(it.extensions), `extensions "${it.extensions}"`);
        await roundTrip(it, 20);
      });
    }
    await check('the server keeps no context', async () => {
      const it = await connect(broker, { token: alice, perMessageDeflate: true });
      must(/server_no_context_takeover/.test(it.extensions), `extensions "${it.extensions}"`);
    });
    await check('it saves bytes', async () => {
      const it = await connect(broker, { token: alice, perMessageDeflate: true });
      const before = it.socket._socket.bytesRead;
      await roundTrip(it, 1);
      const bytes = it.socket._socket.bytesRead - before;
      must(bytes < TEXT.length / 4, `${bytes} bytes for ${TEXT.length}`);
    });
    await check('with and without it, the same text', async () => {
      const plain = await connect(broker, { token: alice });
      const packed = await connect(broker, { token: alice, perMessageDeflate: true });
      same(plain.extensions, '', 'extensions');
      await plain.subscribe('d');
      await packed.subscribe('d');
      for (const sender of [plain, packed]) {
        sender.send(`{"type":"message","topic":"d","data":${TEXT}}`);
        const [one, two] = [await plain.expect('message'), await packed.expect('message')];
        same(one.text, two.text, 'text');
        must(one.text.includes(`"data":${TEXT},`), 'not what was sent');
      }
    });
    await check('what is too large when inflated is 1009', async () => {
      const it = await connect(broker, { token: alice, perMessageDeflate: { threshold: 0 } });
      it.send(`{"type":"message","topic":"d","data":"${'x'.repeat(LIMIT)}"}`);
      await it.closes(1009);
    });
    await check('many connections at once', async () => {
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, n) => connect(broker, { token: alice, perMessageDeflate: n % 2 === 0 })),
      );
      for (const it of all) await it.subscribe('d');
      for (let n = 0; n < 20; n += 1) all[0].send(`{"type":"message","topic":"d","data":[${n},${TEXT}]}`);
      for (const it of all) {
        for (let n = 0; n < 20; n += 1) same((await it.expect('message')).data[0], n);
      }
    });
  });
  await withBroker('deflate', {}, async (broker) => {
    await check('off by default', async () => {
      const it = await connect(broker, { token: await token('alice'), perMessageDeflate: true });
      same(it.extensions, '', 'extensions');
    });
  });
}

// Publishes the text so many times and reads it back.
async function roundTrip(it, times) {
  await it.subscribe('d');
  for (let n = 0; n < times; n += 1) {
    it.send(`{"type":"message","topic":"d","data":${TEXT}}`);
    const message = await it.expect('message');
    must(message.text.includes(`"data":${TEXT},`), 'not what was sent');
  }
}
