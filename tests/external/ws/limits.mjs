// How many and how fast: connections per address and in all, messages in a window (protocols.md
// sections 9 and 11).

import { check, must, same, until, withBroker } from '../lib/checks.mjs';
import { connect, refusal } from '../lib/client.mjs';
import { get } from '../lib/http.mjs';
import { token } from '../lib/tokens.mjs';

export default async function limits() {
  await withBroker('limits', { server: { max_connections_per_ip: 2, shards: 2 } }, perAddress);
  await withBroker('limits', { server: { max_connections: 2, shards: 2 } }, inAll);
  await withBroker('limits', { limits: { messages_per_window: 5, window_ms: 60_000 } }, rate);
  await withBroker('limits', {
    websocket: { max_message_bytes: 1000 },
    limits: { bytes_per_window: 1000, window_ms: 60_000 },
  }, bytes);
}

async function perAddress(broker) {
  await check('over the limit of one address is 429, until one goes', async () => {
    const jwt = await token('alice');
    const held = [await connect(broker, { token: jwt }), await connect(broker, { token: jwt })];
    same(await refusal(broker, { token: jwt }), 429, 'status');
    // The address is looked at before the token: a flood of bad ones costs no signatures.
    same(await refusal(broker, { token: 'garbage' }), 429, 'status with a bad token');
    await held[0].quiet();
    await held[1].close();
    await until(async () => (await refusal(broker, { token: jwt })) === 101, 'a free place');
  });
}

async function inAll(broker) {
  await check('a full server is 503, and still healthy', async () => {
    const jwt = await token('alice');
    const held = [await connect(broker, { token: jwt }), await connect(broker, { token: jwt })];
    same(await refusal(broker, { token: jwt }), 503, 'status');
    same((await get(broker, '/health')).status, 200, 'status of /health');
    await held[0].close();
    await until(async () => (await refusal(broker, { token: jwt })) === 101, 'a free place');
  });
}

async function rate(broker) {
  await check('over the rate is 429 with retryAfterMs, the connection stays', async () => {
    const it = await connect(broker, { token: await token('alice') });
    for (let n = 0; n < 5; n += 1) same((await it.ask({ type: 'subscribe', topic: `t${n}` })).type, 'subscribed');
    const error = await it.ask({ type: 'subscribe', topic: 'more', id: 6 });
    same([error.type, error.code], ['error', 429]);
    const { retryAfterMs } = error.details;
    must(Number.isInteger(retryAfterMs) && retryAfterMs > 0 && retryAfterMs <= 60_000, error.text);
  });
  await check('refused frames count as well', async () => {
    const it = await connect(broker, { token: await token('alice') });
    for (let n = 0; n < 5; n += 1) same((await it.ask('nonsense')).code, 400);
    same((await it.ask('nonsense')).code, 429);
  });
  await check('ten times over in one window is 4429', async () => {
    const it = await connect(broker, { token: await token('alice') });
    for (let n = 0; n < 100; n += 1) it.send({ type: 'ping' });
    await it.closes(4429);
  });
}

async function bytes(broker) {
  await check('over the bytes of a window is 429 too, and a connection has its own', async () => {
    const [it, other] = [await connect(broker, { token: await token('alice') }), await connect(broker, { token: await token('alice') })];
    const large = { type: 'message', topic: 't', data: 'x'.repeat(700), id: 1 };
    same((await it.ask(large)).type, 'published');
    const error = await it.ask(large);
    same([error.code, error.details.retryAfterMs > 0], [429, true]);
    same((await other.ask(large)).type, 'published');
  });
}
