// Frames that no message is made of: fragments, pings, bad bytes, too many bytes, and their close
// codes (RFC 6455; protocols.md section 3). Autobahn goes through the RFC; this is about us.

import { check, must, same, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { OPCODE, makeFrame, rawConnect } from '../lib/raw.mjs';
import { token } from '../lib/tokens.mjs';

const LIMIT = 4096;

export default async function frames() {
  await withBroker('frames', { websocket: { max_message_bytes: LIMIT } }, async (broker) => {
    const alice = await token('alice');
    const client = (options) => connect(broker, { token: alice, ...options });
    const raw = (early) => rawConnect(broker, `/ws?token=${alice}`, early);
    await size(client, raw);
    await protocol(client, raw);
    await closing(client, raw);
  });
}

// A publish of exactly this many bytes.
function sized(bytes) {
  const head = '{"type":"message","topic":"a","id":1,"data":"';
  return `${head}${'x'.repeat(bytes - head.length - 2)}"}`;
}

async function size(client, raw) {
  await check('a message of exactly the limit is good', async () => {
    same((await (await client()).ask(sized(LIMIT))).type, 'published');
  });
  await check('one byte more is 1009', async () => {
    const it = await client();
    it.send(sized(LIMIT + 1));
    await it.closes(1009);
  });
  await check('the sum of fragments counts', async () => {
    const it = await raw();
    it.send(OPCODE.text, 'x'.repeat(LIMIT / 2), { fin: false });
    it.send(OPCODE.continuation, 'x'.repeat(LIMIT / 2), { fin: false });
    same(await it.send(OPCODE.continuation, 'x').closeCode(), 1009, 'close code');
  });
  await check('a length far beyond the limit is refused by its head', async () => {
    const it = await raw();
    it.socket.write(Buffer.from([0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]));
    const code = await it.closeCode();
    must(code === 1009 || code === 1002, `close code ${code}`);
  });
}

async function protocol(client, raw) {
  await check('a message in fragments with a ping between', async () => {
    const it = await raw();
    it.send(OPCODE.text, '{"type":', { fin: false }).send(OPCODE.ping, 'between');
    it.send(OPCODE.continuation, '"ping"', { fin: false }).send(OPCODE.continuation, '}');
    const [pong, reply] = [await it.frame(), await it.frame()];
    same([pong.opcode, pong.payload.toString()], [OPCODE.pong, 'between']);
    same([reply.opcode, JSON.parse(reply.payload).type], [OPCODE.text, 'pong']);
  });
  await check('a message byte by byte', async () => {
    const it = await raw();
    it.socket.setNoDelay(true);
    for (const byte of makeFrame(OPCODE.text, Buffer.from('{"type":"ping"}'))) {
      await new Promise((resolve) => it.socket.write(Buffer.from([byte]), resolve));
    }
    same(JSON.parse((await it.frame()).payload).type, 'pong');
  });
  await check('a frame in the same packet as the upgrade request', async () => {
    const it = await raw(makeFrame(OPCODE.text, Buffer.from('{"type":"ping"}')));
    same(JSON.parse((await it.frame()).payload).type, 'pong');
  });
  await check('ping frames are answered with their payload', async () => {
    const it = await client();
    const pong = new Promise((resolve) => it.socket.once('pong', resolve));
    it.socket.ping('payload');
    same((await pong).toString(), 'payload');
  });
  const bad = {
    'bad UTF-8 in text': [OPCODE.text, Buffer.from([0x22, 0xc3, 0x28, 0x22]), {}, 1007],
    'a surrogate in UTF-8': [OPCODE.text, Buffer.from([0xed, 0xa0, 0x80]), {}, 1007],
    'an overlong form': [OPCODE.text, Buffer.from([0xc0, 0xaf]), {}, 1007],
    'a cut character at the end': [OPCODE.text, Buffer.from([0xe2, 0x82]), {}, 1007],
    'an unmasked frame': [OPCODE.text, '{"type":"ping"}', { masked: false }, 1002],
    'a reserved bit': [OPCODE.text, '{}', { rsv: 2 }, 1002],
    'RSV1 without the extension': [OPCODE.text, '{}', { rsv: 4 }, 1002],
    'a reserved opcode': [3, '', {}, 1002],
    'a continuation of nothing': [OPCODE.continuation, 'x', {}, 1002],
    'a ping of 126 bytes': [OPCODE.ping, 'x'.repeat(126), {}, 1002],
    'a ping in fragments': [OPCODE.ping, 'x', { fin: false }, 1002],
    'a close of one byte': [OPCODE.close, 'x', {}, 1002],
    'a close with code 1005': [OPCODE.close, Buffer.from([0x03, 0xed]), {}, 1002],
    'a close with bad UTF-8': [OPCODE.close, Buffer.from([0x03, 0xe8, 0xff]), {}, 1007],
  };
  for (const [name, [opcode, payload, head, expected]] of Object.entries(bad)) {
    await check(`${name} is ${expected}`, async () => {
      same(await (await raw()).send(opcode, payload, head).closeCode(), expected, 'close code');
    });
  }
}

async function closing(client, raw) {
  for (const code of [1000, 1001, 3000, 4999]) {
    await check(`our close ${code} is echoed`, async () => same((await (await client()).close(code)).code, code));
  }
  await check('a close without a code is answered, then the broker hangs up', async () => {
    const it = await raw();
    const code = await it.send(OPCODE.close).closeCode();
    must(code === 1000 || code === 1005, `close code ${code}`);
    same(await it.frame(), undefined, 'what follows');
  });
  await check('a connection that is cut leaves the others be', async () => {
    const [cut, other] = [await client(), await client()];
    await cut.subscribe('a');
    cut.socket._socket.resetAndDestroy();
    await other.publish('a', 1);
    await other.quiet();
  });
}
