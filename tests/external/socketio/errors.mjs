// Refusals (protocols.md sections 5 and 11): as an event and in the acknowledgement, and the socket
// stays as it was.

import { check, must, same, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { shortToken, token } from '../lib/tokens.mjs';
import { COMES_BACK, NEWEST, members, open } from './clients.mjs';

export default async function errors(broker, kind) {
  const ann = () => open(broker, kind, 'ann');
  for (const room of ['', 'a..b', 'a.*', '**', 'x'.repeat(300), 7, null, { room: 'a' }, undefined]) {
    await check(`joining ${JSON.stringify(room)?.slice(0, 20)}: INVALID_ROOM`, async () => {
      const it = await ann();
      await refused(it, 'room_error', 'INVALID_ROOM', 'join_room', { room });
      await refused(it, 'room_error', 'INVALID_ROOM', 'leave_room', { room });
      await it.join('still-here');
    });
  }
  for (const room of ['admin.audit', 'user:bob:notifications', 'tenant:acme:general', 'user.bob.inbox']) {
    await check(`joining ${room}: AUTHORIZATION_FAILED`, async () => {
      const it = await ann();
      await refused(it, 'room_error', 'AUTHORIZATION_FAILED', 'join_room', { room });
      await it.quiet();
    });
  }
  await check('joining under another socket’s id: AUTHORIZATION_FAILED', async () => {
    const [it, bob] = [await ann(), await open(broker, kind, 'bob')];
    await refused(it, 'room_error', 'AUTHORIZATION_FAILED', 'join_room', { room: bob.id });
  });
  await check('a message to a room one has not joined: AUTHORIZATION_FAILED', async () => {
    const [bob] = await members(broker, kind, 'closed', 'bob');
    const it = await ann();
    await refused(it, 'error', 'AUTHORIZATION_FAILED', 'message', { room: 'closed', content: 1 });
    await bob.quiet();
  });
  const bad = [
    { content: 1 },
    { room: 'good', to: 'nobody', content: 1 },
    { room: 'good' },
    { room: 7, content: 1 },
    'text',
    null,
  ];
  for (const message of bad) {
    await check(`message ${JSON.stringify(message)}: INVALID_MESSAGE`, async () => {
      const [it] = await members(broker, kind, 'good', 'ann');
      await refused(it, 'error', 'INVALID_MESSAGE', 'message', message);
      await it.quiet();
    });
  }
  await check('an event of another name: INVALID_MESSAGE, and no relay to the room', async () => {
    const [it, bob] = await members(broker, kind, 'good', 'ann', 'bob');
    await refused(it, 'error', 'INVALID_MESSAGE', 'dance', 'good', { step: 1 });
    await bob.quiet();
  });
}

// What it emits is refused with this code: by an event, and in the acknowledgement if one is asked for.
async function refused(it, by, code, name, ...args) {
  it.emit(name, ...args);
  const { message, timestamp, ...rest } = await it.expect(by);
  must(typeof message === 'string' && message.length > 0, 'no message');
  same(rest, { code }, by);
  if (by === 'error') must(new Date(timestamp).toISOString() === timestamp, `timestamp ${timestamp}`);
  const { message: text, ...answer } = await it.ask(name, ...args);
  same([answer, typeof text], [{ success: false, code }, 'string'], 'the acknowledgement');
  same((await it.expect(by)).code, code, by);
}

// What needs settings of its own.
export async function limited() {
  await withBroker('rate limit', { limits: { messages_per_window: 20, window_ms: 60_000 } }, async (broker) => {
    await check('over the rate limit: RATE_LIMIT_EXCEEDED, and the socket stays', async () => {
      const [ann] = await members(broker, NEWEST, 'busy', 'ann');
      let refusals = 0;
      for (let n = 0; n < 25; n += 1) {
        const answer = await ann.ask('message', { room: 'busy', content: n });
        if (!answer.success) {
          refusals += 1;
          same(answer.code, 'RATE_LIMIT_EXCEEDED');
          same((await ann.expect('error')).code, 'RATE_LIMIT_EXCEEDED');
        } else {
          must(refusals === 0, 'one went through behind a refusal');
          same((await ann.expect('message')).content, n);
        }
      }
      must(refusals >= 5 && refusals <= 7, `${refusals} refused`);
    });
  });
  await withBroker('an expired token', { auth: { leeway_s: 0 } }, async (broker) => {
    await check('it is told, put out, and not let in again until it has another', async () => {
      const jwt = { token: await shortToken('ann', '2s') };
      const ann = await open(broker, NEWEST, undefined, { auth: (give) => give(jwt), ...COMES_BACK });
      same((await ann.expect('error')).code, 'AUTHENTICATION_FAILED');
      must(/^transport/.test(await ann.disconnected()), 'a reason after which it would not come back');
      const error = await ann.refused();
      same([error.message, error.data.code], ['AUTHENTICATION_FAILED', 'AUTHENTICATION_FAILED']);
      jwt.token = await token('ann');
      ann.socket.connect();
      await ann.connected();
      await ann.join('again');
    });
  });
  await withBroker('the room is asked about', await askingSettings(), async (broker) => {
    await check('a webhook’s no: AUTHORIZATION_FAILED', async () => {
      const ann = await open(broker, NEWEST, 'ann');
      await refused(ann, 'room_error', 'AUTHORIZATION_FAILED', 'join_room', { room: 'room.7.secret' });
      await ann.join('free');
      const tom = await connect(broker, { token: await token('tom') });
      same((await tom.ask({ type: 'subscribe', topic: 'room.7.secret' })).code, 403);
    });
  });
}

// A webhook that nobody answers denies.
const askingSettings = async () => ({ webhook: { url: 'http://127.0.0.1:9/', timeout_ms: 200 } });
