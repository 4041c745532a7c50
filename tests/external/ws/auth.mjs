// Who may talk: the four carriers of a token at connect, the `auth` message, and what an
// unauthenticated connection may do (protocols.md sections 1, 3 and 11).

import { check, must, same, withBroker } from '../lib/checks.mjs';
import { CARRIERS, connect, refusal } from '../lib/client.mjs';
import { forge, inSeconds, token } from '../lib/tokens.mjs';

const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

export default async function auth() {
  await withBroker('auth', {}, async (broker) => {
    await atConnect(broker);
    await byMessage(broker);
    await withoutAny(broker);
  });
  await withBroker('auth', { websocket: { auth_deadline_ms: 300 } }, deadline);
  await withBroker('auth', { endpoint: [ANONYMOUS], rule: [EVERYTHING] }, anonymous);
}

const ANONYMOUS = { path: '/ws', dialect: 'topics', require_authentication: false };
const EVERYTHING = { topic: '**', allow: ['subscribe', 'publish'], decide: 'allow' };

// The user id that the broker knows this connection by: the senderId of what it publishes.
async function whoami(client) {
  await client.subscribe('whoami');
  client.send({ type: 'message', topic: 'whoami', data: null });
  return (await client.expect('message')).metadata?.senderId;
}

async function atConnect(broker) {
  const alice = await token('alice');
  for (const carrier of Object.keys(CARRIERS)) {
    await check(`token by ${carrier}`, async () => {
      const client = await connect(broker, { token: alice, carrier });
      same(client.socket.protocol, carrier === 'subprotocol' ? 'bearer' : '', 'selected subprotocol');
      same(await whoami(client), 'alice', 'user');
    });
    await check(`bad token by ${carrier} is HTTP 401`, async () => {
      same(await refusal(broker, { token: `${alice}x`, carrier }), 401, 'status');
    });
  }
  await check('the query is looked at before the header', async () => {
    const headers = { Authorization: `Bearer ${await token('bob')}` };
    same(await whoami(await connect(broker, { token: alice, headers })), 'alice', 'user');
  });
  await check('the header is looked at before the cookie', async () => {
    const headers = { Authorization: `Bearer ${alice}`, Cookie: `token=${await token('bob')}` };
    same(await whoami(await connect(broker, { headers })), 'alice', 'user');
  });
  const refused = {
    'of another secret': forge({ sub: 'alice', exp: inSeconds(60) }, { secret: 'another secret'.repeat(3) }),
    'that has expired': forge({ sub: 'alice', exp: inSeconds(-60) }),
    'not valid yet': forge({ sub: 'alice', nbf: inSeconds(60), exp: inSeconds(120) }),
    'with alg none': forge({ sub: 'alice', exp: inSeconds(60) }, { header: { alg: 'none', typ: 'JWT' } }),
    'with an empty sub': forge({ sub: '', exp: inSeconds(60) }),
    'without a user': forge({ exp: inSeconds(60) }),
    'that is no token': 'garbage',
  };
  for (const [what, bad] of Object.entries(refused)) {
    await check(`token ${what} is HTTP 401`, async () => {
      same(await refusal(broker, { token: bad }), 401, 'status');
    });
  }
}

async function byMessage(broker) {
  await check('auth message', async () => {
    const client = await connect(broker);
    const reply = await client.ask({ type: 'auth', token: await token('alice') });
    same(Object.keys(reply).sort(), ['timestamp', 'type', 'userId'], 'keys');
    same([reply.type, reply.userId], ['auth_success', 'alice']);
    must(TIMESTAMP.test(reply.timestamp), `timestamp ${reply.timestamp}`);
    same(await whoami(client), 'alice', 'user');
  });
  await check('auth message with an id', async () => {
    const reply = await (await connect(broker)).ask({ type: 'auth', id: 7, token: await token('alice') });
    same([reply.type, reply.id], ['auth_success', 7]);
  });
  await check('auth message with a bad token', async () => {
    const client = await connect(broker);
    const reply = await client.ask({ type: 'auth', token: 'garbage' });
    same([reply.type, reply.message, reply.code], ['auth_error', 'Invalid token', 401]);
    must(TIMESTAMP.test(reply.timestamp), `timestamp ${reply.timestamp}`);
    // The connection stays, and another try is good.
    same((await client.ask({ type: 'auth', token: await token('alice') })).type, 'auth_success');
  });
  await check('three failures are 1008', async () => {
    const client = await connect(broker);
    for (let n = 0; n < 3; n += 1) client.send({ type: 'auth', token: `garbage${n}` });
    await client.expect('auth_error');
    await client.expect('auth_error');
    await client.closes(1008);
  });
  await check('auth without a string token is 400 and no failure', async () => {
    const client = await connect(broker);
    for (const bad of [{}, { token: 7 }, { token: null }, { token: ['x'] }]) {
      const reply = await client.ask({ type: 'auth', ...bad });
      same([reply.type, reply.code], ['error', 400]);
    }
    same((await client.ask({ type: 'auth', token: await token('alice') })).type, 'auth_success');
  });
  await check('a new auth withdraws what it does not cover', async () => {
    const client = await connect(broker, { token: await token('alice') });
    await client.subscribe('user.alice.**', 'free');
    client.send({ type: 'auth', token: await token('bob') });
    const [one, two] = [await client.next(), await client.next()];
    const withdrawn = [one, two].find((message) => message.type === 'unsubscribed');
    must([one, two].some((message) => message.type === 'auth_success'), 'no auth_success');
    same([withdrawn?.topic, withdrawn?.reason], ['user.alice.**', 'forbidden']);
    // The other one is still in force.
    client.send({ type: 'message', topic: 'free', data: 1 });
    same((await client.expect('message')).metadata, { senderId: 'bob' }, 'metadata');
  });
}

async function withoutAny(broker) {
  await check('nothing is sent on connect, ping is answered', async () => {
    const client = await connect(broker);
    const reply = await client.ask({ type: 'ping' });
    same(Object.keys(reply).sort(), ['timestamp', 'type'], 'keys');
    must(reply.type === 'pong' && TIMESTAMP.test(reply.timestamp), reply.text);
  });
  for (const type of ['subscribe', 'unsubscribe', 'message']) {
    await check(`unauthenticated ${type} is 401`, async () => {
      const reply = await (await connect(broker)).ask({ type, topic: 'a', data: 1, id: 'x' });
      same([reply.type, reply.code, reply.id], ['error', 401, 'x']);
    });
  }
}

async function deadline(broker) {
  await check('no auth within the deadline is 1008', async () => {
    await (await connect(broker)).closes(1008);
  });
  await check('the deadline does not concern the authenticated', async () => {
    const early = await connect(broker, { token: await token('alice') });
    const late = await connect(broker);
    await late.ask({ type: 'auth', token: await token('alice') });
    await (await connect(broker)).closes(1008);
    await early.quiet();
    await late.quiet();
  });
}

async function anonymous(broker) {
  await check('an anonymous connection publishes without a senderId', async () => {
    const client = await connect(broker);
    await client.subscribe('open');
    client.send({ type: 'message', topic: 'open', data: 1, metadata: { senderId: 'mallory', k: 1 } });
    const message = await client.expect('message');
    same(message.metadata, { k: 1 }, 'metadata');
  });
  await check('an anonymous connection may still authenticate', async () => {
    const client = await connect(broker);
    same((await client.ask({ type: 'auth', token: await token('alice') })).userId, 'alice');
    same(await whoami(client), 'alice', 'user');
  });
  await check('a bad token is refused also where none is needed', async () => {
    same(await refusal(broker, { token: 'garbage' }), 401, 'status');
  });
}
