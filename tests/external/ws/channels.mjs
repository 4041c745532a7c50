// The dialect `channels`: who comes in, its messages one by one, and what is refused in which words
// (protocols.md sections 4 and 11). Whose channels are whose is the subject `tenants`.

import { check, must, same, withBroker } from '../lib/checks.mjs';
import { CARRIERS, attempt, connect } from '../lib/client.mjs';
import { api } from '../lib/http.mjs';
import { forge, inSeconds, token } from '../lib/tokens.mjs';
import { denied, expectData, expectTimed, join, member, post, request, silent, ticket } from './membership.mjs';

const PATH = '/channels';
const ROOM = 'tenant:acme:general';
const FORMAT = 'Invalid message format';

export default async function channels() {
  const settings = { auth: { leeway_s: 0 }, tenants: { inactive: ['idle'] } };
  await withBroker('channels', settings, async (broker) => {
    await arriving(broker);
    await refused(broker);
    await messages(broker);
    await words(broker);
  });
  await withBroker('channels', { tenants: { allowed: ['acme', 'idle'], inactive: ['idle'] } }, listed);
  await withBroker('channels', { endpoint: [{ path: PATH, dialect: 'channels', require_authentication: false }] }, open);
  await withBroker('channels', {
    limits: { messages_per_window: 5, window_ms: 60_000, subscriptions_max: 2 },
    websocket: { max_message_bytes: 4096 },
  }, limits);
}

async function arriving(broker) {
  for (const carrier of Object.keys(CARRIERS)) {
    await check(`token by ${carrier}: the first frame is \`connection\``, async () => {
      const it = await member(broker, 'ann', 'acme', { carrier });
      must(typeof it.id === 'string' && it.id.length > 0, `connectionId ${it.id}`);
      same(it.socket.protocol, carrier === 'subprotocol' ? 'bearer' : '', 'subprotocol');
      await silent(it);
    });
  }
  await check('each connection has an id of its own, known to the operator', async () => {
    const [one, two] = [await member(broker, 'ann', 'acme'), await member(broker, 'ann', 'acme')];
    must(one.id !== two.id, `both are ${one.id}`);
    const { json } = await api(broker, 'GET', `/api/connections/${two.id}`);
    same([json.userId, json.tenantId, json.endpoint], ['ann', 'acme', PATH]);
  });
  await check('the ids of a user and a tenant, by whichever claim', async () => {
    const exp = inSeconds(600);
    for (const [claims, user, tenant] of [
      [`{"userId":42,"tenantId":"acme","exp":${exp}}`, '42', 'acme'],
      [`{"sub":"ann","tenant_id":"acme","exp":${exp}}`, 'ann', 'acme'],
      [`{"id":12345678901234567890,"tenantId":"acme","exp":${exp}}`, '12345678901234567890', 'acme'],
      [`{"user_id":"ann","tenantId":"a.b *","exp":${exp}}`, 'ann', 'a.b *'],
    ]) {
      const it = await member(broker, user, tenant, { token: forge(claims) });
      const { json } = await api(broker, 'GET', `/api/connections/${it.id}`);
      same([json.userId, json.tenantId], [user, tenant]);
    }
  });
  await check('auth_expired in this form, then 4401', async () => {
    const it = await member(broker, 'ann', 'acme', { token: ticket('ann', 'acme', { exp: inSeconds(2) }) });
    const { code, message, ...rest } = await expectTimed(it, 'auth_expired');
    same([code, typeof message, rest], [401, 'string', {}]);
    await it.closes(4401);
  });
}

// The upgrade succeeds, no frame comes, and the close says why (protocols.md section 4).
async function refused(broker) {
  const exp = inSeconds(600);
  const claims = { userId: 'ann', tenantId: 'acme', exp };
  const rows = {
    'no token': {},
    'a forged signature': { token: forge(claims, { secret: 'another secret, of 32 bytes or more.' }) },
    'alg none': { token: forge(claims, { header: { alg: 'none' } }) },
    'a token whose time is over': { token: forge({ ...claims, exp: inSeconds(-60) }) },
    'a token of no user': { token: forge({ tenantId: 'acme', exp }) },
    'a token of no tenant': { token: await token('ann') },
    'an empty tenant': { token: ticket('ann', '') },
    'an inactive tenant': { token: ticket('ann', 'idle') },
    'a tenant id that holds a colon': { token: ticket('ann', 'acme:x') },
    'a user id that holds a colon': { token: ticket('ann:all', 'acme') },
  };
  for (const carrier of Object.keys(CARRIERS)) rows[`garbage by ${carrier}`] = { token: 'garbage', carrier };
  for (const [what, options] of Object.entries(rows)) {
    await check(`${what}: the upgrade, then close 1000`, async () => {
      const it = attempt(broker, { path: PATH, ...options });
      await it.opened;
      // Whatever it says in the meantime is not heard.
      if (it.socket.readyState === 1) post(it, 'public:x', 1);
      same(await it.closed, { code: 1000, reason: 'Authentication failed' });
      await it.frame().then(
        ({ text }) => must(false, `a frame: ${text}`),
        () => {},
      );
    });
  }
  await check('a token of the token command is good', async () => {
    await silent(await member(broker, 'ann', 'acme', { token: await token('ann', '--tenant', 'acme') }));
  });
}

// With a list of tenants, who is not on it is refused; and who is inactive all the same.
async function listed(broker) {
  for (const [tenant, good] of [['acme', true], ['acme2', false], ['idle', false]]) {
    await check(`a list of tenants: ${tenant} is ${good ? 'let in' : 'refused'}`, async () => {
      const it = await connect(broker, { path: PATH, token: ticket('ann', tenant) });
      if (good) await it.expect('connection');
      else same(await it.closed, { code: 1000, reason: 'Authentication failed' });
    });
  }
}

async function messages(broker) {
  await check('ping is answered with pong', async () => {
    const it = await member(broker, 'ann', 'acme');
    for (const ping of ['{"type":"ping"}', '{"type":"ping","data":{}}', '{"data":null,"type":"ping"}']) {
      it.send(ping);
      same(await expectTimed(it, 'pong'), {}, ping);
    }
    it.send(Buffer.from('{"type":"ping"}'));
    same(await expectTimed(it, 'pong'), {}, 'a binary frame');
  });
  await check('a message goes to the other members and not to its sender', async () => {
    const [ann, bob] = [await member(broker, 'ann', 'acme'), await member(broker, 'bob', 'acme')];
    const elsewhere = await join(await member(broker, 'eve', 'acme'), 'tenant:acme:random');
    // Another connection of the sender's user is another member.
    const too = await member(broker, 'ann', 'acme');
    for (const it of [ann, bob, too]) await join(it, ROOM);
    const text = '{"z":1.0, "a":12345678901234567890,"e":"\\u00e9","a":[]}';
    ann.send(`{"type":"send_message","data":{"channel":"${ROOM}","message":${text}}}`);
    for (const it of [bob, too]) {
      const frame = await it.expect('channel_message');
      must(frame.text.includes(`"message":${text}`), frame.text);
      const { timestamp, message, ...rest } = frame.data;
      same(rest, { channel: ROOM, sender: { id: 'ann', connectionId: ann.id } });
      must(Math.abs(Date.now() - Date.parse(timestamp)) < 5000, timestamp);
    }
    await silent(ann, elsewhere, bob, too);
  });
  await check('who is no member may send, and gets nothing', async () => {
    const ann = await join(await member(broker, 'ann', 'acme'), ROOM);
    const bob = await member(broker, 'bob', 'acme');
    post(bob, ROOM, null);
    same((await expectTimed(ann, 'channel_message')).message, null);
    await silent(bob);
  });
  await check('any JSON is a message', async () => {
    const ann = await join(await member(broker, 'ann', 'acme'), ROOM);
    const bob = await member(broker, 'bob', 'acme');
    for (const message of ['hi', 0, true, [], { type: 'ping' }, '', '日本 🚀']) {
      post(bob, ROOM, message);
      same((await expectTimed(ann, 'channel_message')).message, message);
    }
  });
  await check('1000 messages arrive in order', async () => {
    const ann = await join(await member(broker, 'ann', 'acme'), ROOM);
    const bob = await member(broker, 'bob', 'acme');
    for (let n = 0; n < 1000; n += 1) post(bob, ROOM, n);
    for (let n = 0; n < 1000; n += 1) same((await expectTimed(ann, 'channel_message')).message, n);
  });
  await check('joining again is the same answer and no second membership', async () => {
    const ann = await join(await member(broker, 'ann', 'acme'), ROOM, ROOM);
    const bob = await member(broker, 'bob', 'acme');
    post(bob, ROOM, 1);
    same((await expectTimed(ann, 'channel_message')).message, 1);
    await silent(ann);
    ann.send(request('leave_channel', { channel: ROOM }));
    same(await expectData(ann, 'channel_left'), { channel: ROOM });
    post(bob, ROOM, 2);
    await silent(bob, ann);
  });
  await check('leaving is answered, also where one never was', async () => {
    const it = await member(broker, 'ann', 'acme');
    for (const channel of [ROOM, 'tenant:acme2:general', 'general', '*', '']) {
      it.send(request('leave_channel', { channel }));
      same(await expectData(it, 'channel_left'), { channel });
    }
  });
}

async function words(broker) {
  await check('what is malformed is `Invalid message format`, and the connection stays', async () => {
    const it = await member(broker, 'ann', 'acme');
    for (const text of [
      '', ' ', 'nonsense', '{', '[]', '7', 'null', '"ping"', '{}', '{"type":null}', '{"type":7}',
      '{"type":"ping","type":"ping"}', '{"type":"ping","x":"\\ud800"}',
      '{"type":"join_channel"}', '{"type":"join_channel","data":null}', '{"type":"join_channel","data":[]}',
      '{"type":"join_channel","data":{}}', '{"type":"join_channel","data":{"channel":7}}',
      '{"type":"join_channel","channel":"public:a"}',
      '{"type":"join_channel","data":{"channel":"public:a","channel":"tenant:acme2"}}',
      '{"type":"leave_channel","data":{"channel":["a"]}}',
      '{"type":"send_message","data":{"channel":"public:a"}}',
      '{"type":"send_message","data":{"message":1}}',
      '{"type":"send_message","data":"public:a"}',
      '{"type":"subscribe_notifications","data":{}}',
      '{"type":"subscribe_notifications","data":{"types":"all"}}',
      '{"type":"subscribe_notifications","data":{"types":["a",7]}}',
      '{"type":"subscribe_notifications","data":{"types":["a:b"]}}',
    ]) {
      await denied(it, text, FORMAT);
    }
    await denied(it, Buffer.from([0xff]), FORMAT);
    await silent(it);
  });
  await check('an unknown type is named', async () => {
    const it = await member(broker, 'ann', 'acme');
    for (const type of ['dance', 'Ping', 'subscribe', 'auth', '', 'a"b\\', '日本']) {
      await denied(it, { type, data: {}, id: 7 }, `Unknown message type: ${type}`);
    }
    await silent(it);
  });
}

// Without authentication required: the public channels, and no name to it.
async function open(broker) {
  await check('an anonymous member has the public channels and no others', async () => {
    const [one, two] = [await member(broker), await member(broker)];
    await join(one, 'public:news');
    post(two, 'public:news', 'hi');
    const { sender } = await expectTimed(one, 'channel_message');
    same(sender, { id: null, connectionId: two.id });
    for (const channel of ['tenant:acme:general', 'tenant:', 'tenant::x', 'notifications:::all', 'x']) {
      await denied(one, request('join_channel', { channel }), 'Access denied to channel');
      await denied(one, request('send_message', { channel, message: 1 }), 'Permission denied');
    }
    await denied(one, request('subscribe_notifications', { types: ['all'] }), 'Access denied to channel');
  });
  await check('a bad token is refused all the same', async () => {
    const it = await connect(broker, { path: PATH, token: 'garbage' });
    same(await it.closed, { code: 1000, reason: 'Authentication failed' });
  });
}

async function limits(broker) {
  await check('over a limit: an error of this form, and the connection stays', async () => {
    const it = await join(await member(broker, 'ann', 'acme'), 'public:a', 'public:b');
    await denied(it, request('join_channel', { channel: 'public:c' }), 'Too many subscriptions');
    await silent(it, it);
    await denied(it, { type: 'ping' }, 'Rate limit exceeded');
  });
  await check('too many notifications: none of them', async () => {
    const it = await join(await member(broker, 'ann', 'acme'), 'public:a');
    await denied(it, request('subscribe_notifications', { types: ['a', 'b'] }), 'Too many subscriptions');
    const sent = await api(broker, 'POST', '/api/channels/notifications:acme:ann:a/send', { message: 1 });
    same(sent.json, { delivered: 0 });
  });
  await check('ten times over in one window is 4429', async () => {
    const it = await member(broker, 'ann', 'acme');
    for (let n = 0; n < 100; n += 1) it.send(n % 2 ? 'nonsense' : { type: 'ping' });
    await it.closes(4429);
  });
  await check('1009 for what is too large', async () => {
    const it = await member(broker, 'ann', 'acme');
    post(it, 'public:a', 'x'.repeat(5000));
    await it.closes(1009);
  });
}
