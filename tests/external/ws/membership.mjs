// A client of the dialect `channels` (protocols.md section 4): its messages, and what it is told.

import { must, same } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { forge, inSeconds } from '../lib/tokens.mjs';

const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

// A token as the replaced system signed it: `userId` and `tenantId`.
export const ticket = (userId, tenantId, more) =>
  forge({ userId, tenantId, exp: inSeconds(600), ...more });

// Connects, and takes the greeting: `id` is the connection's.
export async function member(broker, user, tenant, options = {}) {
  const token = user === undefined ? undefined : ticket(user, tenant);
  const it = await connect(broker, { path: '/channels', token, ...options });
  it.id = (await expectTimed(it, 'connection')).connectionId;
  return it;
}

// The `data` of the next frame, which has this `type`, nothing beside, and a timestamp, taken out.
export async function expectTimed(it, type) {
  const { timestamp, ...data } = await expectData(it, type);
  must(TIMESTAMP.test(timestamp), `timestamp ${timestamp}`);
  return data;
}

// The `data` of the next frame, which has this `type` and nothing beside.
export async function expectData(it, type) {
  const frame = await it.expect(type);
  same(Object.keys(frame), ['type', 'data'], `keys of ${frame.text}`);
  return frame.data;
}

export const request = (type, data) => ({ type, data });

// Joins; a member when this resolves.
export async function join(it, ...channels) {
  for (const channel of channels) {
    it.send(request('join_channel', { channel }));
    same(await expectData(it, 'channel_joined'), { channel });
  }
  return it;
}

// Sends a message to a channel, for which nothing comes back.
export const post = (it, channel, message) => it.send(request('send_message', { channel, message }));

// What is answered must be an error of this text, whole.
export async function denied(it, message, error) {
  const { text } = await it.ask(message);
  same(text, JSON.stringify({ type: 'error', data: { error } }));
}

// Nothing but the answer to this ping may be on its way to each.
export async function silent(...members) {
  for (const it of members) {
    it.send({ type: 'ping' });
    same(await expectTimed(it, 'pong'), {});
  }
}
