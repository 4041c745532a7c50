// SIGTERM: /ready turns, new ones are refused, everyone is told 1001, the exit status is 0
// (protocols.md sections 9 and 11).

import { check, must, same, until } from '../lib/checks.mjs';
import { startBroker } from '../lib/broker.mjs';
import { connect, refusal } from '../lib/client.mjs';
import { get, publish } from '../lib/http.mjs';
import { token } from '../lib/tokens.mjs';
import { member, request } from './membership.mjs';

const CLIENTS = 30;
// Longer than any broker here may take to end.
const LIMIT_MS = 30_000;

export default async function shutdown() {
  await check('shutdown: everyone is told 1001, and the exit status is 0', async () => {
    const broker = await startBroker();
    const clients = await crowd(broker);
    broker.terminate();
    for (const client of clients) await client.closes(1001);
    await broker.ended();
  }, LIMIT_MS);
  await check('shutdown: what was published before is delivered', async () => {
    const broker = await startBroker();
    const [reader, writer] = await crowd(broker);
    await reader.subscribe('last.words');
    for (let n = 0; n < 500; n += 1) writer.send({ type: 'message', topic: 'last.words', data: n });
    await writer.publish('last.words', 500);
    broker.terminate();
    for (let n = 0; n <= 500; n += 1) same((await reader.expect('message')).data, n);
    await reader.closes(1001);
    await broker.ended();
  }, LIMIT_MS);
  await check('shutdown: without connections it ends at once', async () => {
    const broker = await startBroker({ server: { drain_ms: 60_000 } });
    await broker.stop();
  }, LIMIT_MS);
  await check('shutdown: a signal right behind the start drains too', async () => {
    // It kills a broker that says it is up before it catches signals; not each time, so ten times.
    for (let n = 0; n < 10; n += 1) {
      const broker = await startBroker();
      broker.terminate();
      await broker.ended();
    }
  }, LIMIT_MS);
  await check('shutdown: a second signal does not wait for the drain', async () => {
    const broker = await startBroker({ server: { drain_ms: 60_000 } });
    const [client] = await crowd(broker);
    broker.terminate();
    await until(async () => (await get(broker, '/ready')).status === 503, 'the drain');
    broker.terminate();
    let failed = false;
    await broker.ended().catch(() => { failed = true; });
    must(failed, 'an end that was forced has exit status 1');
    await client.closed;
  }, LIMIT_MS);
  await check('shutdown: in every dialect', everyDialect, LIMIT_MS);
  await check('shutdown: draining refuses members of channels in their own form', drainingMembers, LIMIT_MS);
  await check('shutdown: draining refuses what is new with 503', draining, LIMIT_MS);
}

// Authenticated connections.
async function crowd(broker) {
  const jwt = await token('alice');
  return Promise.all(Array.from({ length: CLIENTS }, () => connect(broker, { token: jwt })));
}

async function draining() {
  const broker = await startBroker({ server: { drain_ms: 4000 } });
  const clients = await crowd(broker);
  broker.terminate();
  await until(async () => (await get(broker, '/ready')).status === 503, '503 from /ready');
  same((await get(broker, '/health')).status, 200, 'status of /health');
  same(await refusal(broker, { token: await token('alice') }), 503, 'status of an upgrade');
  same((await publish(broker, { topic: 'a', data: 1 })).status, 503, 'status of a publish');
  // Those who have not had their turn yet hear a 503, the others have been told 1001.
  const replies = await Promise.all(
    clients.map((client) =>
      client.end ? 1001 : client.ask({ type: 'message', topic: 'a', data: 1, id: 1 }).then(({ code }) => code, () => client.end.code),
    ),
  );
  must(replies.every((code) => code === 503 || code === 1001), `${replies}`);
  must(replies.includes(503), 'all connections were told to go at once');
  for (const client of clients) await client.closes(1001);
  await broker.ended();
}

async function everyDialect() {
  const broker = await startBroker({ server: { drain_ms: 1000 } });
  const clients = [
    ...(await crowd(broker)),
    await connect(broker, { path: '/events', token: await token('alice') }),
    await member(broker, 'ann', 'acme'),
    await connect(broker, { path: '/ws/admin', token: await token('root', '--role', 'admin') }),
  ];
  broker.terminate();
  for (const client of clients) {
    await client.closes(1001);
    await client.frame().then(({ text }) => must(false, `a frame: ${text}`), () => {});
  }
  await broker.ended();
}

async function drainingMembers() {
  const broker = await startBroker({ server: { drain_ms: 4000 } });
  const members = await Promise.all(Array.from({ length: CLIENTS }, () => member(broker, 'ann', 'acme')));
  broker.terminate();
  await until(async () => (await get(broker, '/ready')).status === 503, '503 from /ready');
  const replies = await Promise.all(
    members.map((it) =>
      it.end ? 1001 : it.ask(request('send_message', { channel: 'public:x', message: 1 })).then(({ text }) => text, () => it.end.code),
    ),
  );
  const error = '{"type":"error","data":{"error":"Server is shutting down"}}';
  must(replies.every((reply) => reply === error || reply === 1001), `${replies}`);
  must(replies.includes(error), 'all connections were told to go at once');
  for (const it of members) await it.closes(1001);
  await broker.ended();
}
