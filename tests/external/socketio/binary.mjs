// Binary content (protocols.md section 5): as bytes to Socket.IO clients, as base64 to the others.

import { check, must, same } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { token } from '../lib/tokens.mjs';
import { members } from './clients.mjs';
import { stripped } from './rooms.mjs';

const BYTES = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
const LARGE_BYTES = 300_000;

export default async function binary(broker, kind) {
  await check('bytes in a message come as bytes, to the sender too', async () => {
    const [ann, bob] = await members(broker, kind, 'bytes', 'ann', 'bob');
    const sent = { from: 'ann', room: 'bytes', content: BYTES, type: 'file' };
    same((await ann.ask('message', sent)).success, true, 'acknowledged');
    for (const it of [ann, bob]) {
      const { content, ...rest } = stripped(await it.expect('message'));
      must(Buffer.isBuffer(content), `content is ${content?.constructor?.name}`);
      must(content.equals(BYTES), `content is ${content.toString('hex')}`);
      same(rest, { from: 'ann', room: 'bytes', type: 'file' });
    }
    for (const it of [ann, bob]) await it.quiet();
  });
  await check('several pieces, deep inside, empty and large, each in its place', async () => {
    const [ann, bob] = await members(broker, kind, 'pieces', 'ann', 'bob');
    const large = Buffer.alloc(LARGE_BYTES, 'shard');
    ann.emit('message', { room: 'pieces', content: { b: [large, BYTES], a: Buffer.alloc(0) }, metadata: { icon: BYTES } });
    ann.emit('message', { room: 'pieces', content: 'behind them' });
    for (const it of [bob, ann]) {
      const { content, metadata } = await it.expect('message');
      same(content.b.map((piece) => piece.length), [LARGE_BYTES, BYTES.length], 'lengths');
      must(content.b[0].equals(large) && content.b[1].equals(BYTES), 'other bytes');
      must(content.a.length === 0 && metadata.icon.equals(BYTES), 'other bytes');
      same((await it.expect('message')).content, 'behind them');
    }
  });
  await check('a topics client hears them as base64', async () => {
    const [ann] = await members(broker, kind, 'base64', 'ann');
    const tom = await connect(broker, { token: await token('tom') });
    await tom.subscribe('base64');
    ann.emit('message', { room: 'base64', content: BYTES, metadata: { also: [BYTES.subarray(0, 2)] } });
    const { data, eventType } = await tom.expect('message');
    same([eventType, data.content, data.metadata.also], ['message', BYTES.toString('base64'), ['AAE=']]);
    must((await ann.expect('message')).content.equals(BYTES), 'other bytes');
  });
}
