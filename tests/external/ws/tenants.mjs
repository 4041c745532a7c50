// Tenants in the dialect `channels`: whose channels are whose, one's own notifications, and what the
// server side sends as the whole frame (protocols.md sections 4, 6, 7 and 11).

import { check, must, same, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { api, publish, settled } from '../lib/http.mjs';
import { forge, inSeconds, token } from '../lib/tokens.mjs';
import { denied, expectData, expectTimed, join, member, post, request, silent, ticket } from './membership.mjs';

const ALLOW = ['subscribe', 'publish'];

// What the dialect opens by itself to a user of tenant `acme`.
const OPEN = ['tenant:acme', 'tenant:acme:x', 'tenant:acme:a:b', 'tenant:acme:a.b', 'public:x', 'public:x:y.z'];
const CLOSED = [
  'tenant:acme2', 'tenant:acme2:general', 'tenant:acm', 'tenant:acme.x', 'tenant:acme/x', 'tenant:acme:', 'tenant:ACME:x',
  'tenant:', 'tenant', 'tenant::acme', 'tenant:other:acme', ' tenant:acme:x', 'Tenant:acme:x', 'public', 'public:', 'public.x',
  'Public:x', 'general', 'user:ann', 'user.bob.notifications', 'admin.log', 'notifications:acme:ann:all',
  'notifications:acme:bob:all', 'tenant:acme:*', 'tenant:acme:x.*', 'tenant:acme:x.**', 'public:*', '*', '**', '', '.',
  'tenant:acme:a..b', 'tenant:acme:x.', 'tenant:acme:\n', `tenant:acme:${'x'.repeat(300)}`,
];

export default async function tenants() {
  await withBroker('tenants', {}, async (broker) => {
    await access(broker);
    await boundaries(broker);
    await notifications(broker);
    await verbatim(broker);
  });
  await withBroker('tenants', {
    rule: [
      { topic: 'tenant:acme:closed', allow: ALLOW, decide: 'deny' },
      { topic: 'board.**', allow: ALLOW, decide: 'allow' },
      { topic: 'notice.**', allow: ['subscribe'], decide: 'allow' },
    ],
  }, configured);
}

const mayNotJoin = (it, channel) =>
  denied(it, request('join_channel', { channel }), 'Access denied to channel');
const mayNotSend = (it, channel) =>
  denied(it, request('send_message', { channel, message: 1 }), 'Permission denied');

async function access(broker) {
  for (const channel of OPEN) {
    await check(`${channel} is open to tenant acme`, async () => {
      const [ann, bob] = [await member(broker, 'ann', 'acme'), await member(broker, 'bob', 'acme')];
      await join(ann, channel);
      post(bob, channel, channel);
      same((await expectTimed(ann, 'channel_message')).message, channel);
    });
  }
  for (const channel of CLOSED) {
    await check(`${JSON.stringify(channel.slice(0, 40))} is not`, async () => {
      const it = await member(broker, 'ann', 'acme');
      await mayNotJoin(it, channel);
      await mayNotSend(it, channel);
      await silent(it);
    });
  }
  await check('the characters of a tenant id widen nothing', async () => {
    const it = await member(broker, 'ann', '*');
    await mayNotJoin(it, 'tenant:acme:x');
    // A `*` makes it no topic, so not even its own.
    await mayNotJoin(it, 'tenant:*:x');
    const dotted = await member(broker, 'ann', 'a.b');
    await join(dotted, 'tenant:a.b', 'tenant:a.b:x');
    await mayNotJoin(dotted, 'tenant:a');
    await mayNotJoin(dotted, 'tenant:a.c:x');
  });
  await check('the channels of a token open what they name, to join and not to send', async () => {
    const claims = { userId: 'ann', tenantId: 'acme', exp: inSeconds(600), channels: ['team.*', 'tenant:acme2:general'] };
    const it = await member(broker, 'ann', 'acme', { token: forge(claims) });
    await join(it, 'team.blue');
    await mayNotJoin(it, 'team.*');
    await mayNotSend(it, 'team.blue');
    // What is another tenant's no token opens.
    await mayNotJoin(it, 'tenant:acme2:general');
  });
}

async function boundaries(broker) {
  await check('of tenants named acme, acme2 and acm none hears another', async () => {
    const names = ['acme', 'acme2', 'acm'];
    const of = {};
    for (const name of names) {
      of[name] = [await member(broker, 'ann', name), await member(broker, 'bob', name)];
      for (const it of of[name]) await join(it, `tenant:${name}`, `tenant:${name}:x`);
    }
    for (const name of names) {
      post(of[name][0], `tenant:${name}`, name);
      post(of[name][0], `tenant:${name}:x`, name);
      for (const other of names.filter((it) => it !== name)) await mayNotSend(of[name][0], `tenant:${other}:x`);
    }
    for (const name of names) {
      const [ann, bob] = of[name];
      for (const channel of [`tenant:${name}`, `tenant:${name}:x`]) {
        const { message, sender, channel: at } = await expectTimed(bob, 'channel_message');
        same([at, message, sender], [channel, name, { id: 'ann', connectionId: ann.id }]);
      }
      await silent(ann, bob);
    }
  });
  await check('the same user id in two tenants is two users', async () => {
    await settled(broker);
    const [ours, theirs] = [await member(broker, 'ann', 'acme'), await member(broker, 'ann', 'acme2')];
    const none = await connect(broker, { token: await token('ann') });
    const sent = (tenant) => api(broker, 'POST', `/api/users/ann/notify${tenant && `?tenant=${tenant}`}`, { message: tenant });
    same((await sent('acme')).json, { delivered: 1 });
    same((await ours.frame()).text, '"acme"');
    same((await sent('acme2')).json, { delivered: 1 });
    same((await theirs.frame()).text, '"acme2"');
    same((await sent('')).json, { delivered: 1 });
    same((await none.expect('message')).data, '');
    await silent(ours, theirs);
    await none.quiet();
    same((await api(broker, 'POST', '/api/users/ann/disconnect?tenant=acme', {})).json, { disconnected: 1 });
    await ours.closes(1008);
    await silent(theirs);
  });
}

async function notifications(broker) {
  const subscribe = async (it, types) => {
    it.send(request('subscribe_notifications', { types }));
    same(await expectData(it, 'notifications_subscribed'), { types });
  };
  const send = async (channel, message) =>
    (await api(broker, 'POST', `/api/channels/${channel}/send`, { message })).json.delivered;
  await check('each type is a channel of one’s own', async () => {
    const [ann, other, bob] = [await member(broker, 'ann', 'acme'), await member(broker, 'ann', 'acme2'), await member(broker, 'bob', 'acme')];
    for (const it of [ann, other, bob]) await subscribe(it, ['all', 'mail']);
    await subscribe(ann, ['mail', 'task.moved', 'mail']);
    for (const [user, type, expected] of [['ann', 'all', 1], ['ann', 'mail', 1], ['ann', 'task.moved', 1], ['ann', 'else', 0]]) {
      same(await send(`notifications:acme:${user}:${type}`, { type: 'notification', data: type }), expected, type);
    }
    for (const type of ['all', 'mail', 'task.moved']) same(await expectData(ann, 'notification'), type);
    await silent(ann, other, bob);
  });
  await check('a published notification is a channel_message', async () => {
    const ann = await member(broker, 'ann', 'acme');
    await subscribe(ann, ['all']);
    same((await publish(broker, { topic: 'notifications:acme:ann:all', data: 1 })).json, { delivered: 1 });
    const told = await expectTimed(ann, 'channel_message');
    same(told, { channel: 'notifications:acme:ann:all', message: 1, sender: { id: null, connectionId: null } });
  });
  await check('no types are fine, and the array comes back as it was written', async () => {
    const it = await member(broker, 'ann', 'acme');
    await subscribe(it, []);
    const { text } = await it.ask('{"type":"subscribe_notifications","data":{"types":[ "a" ,"\\u0062"]}}');
    must(text.includes('"types":[ "a" ,"\\u0062"]'), text);
    same([await send('notifications:acme:ann:b', 1), (await it.frame()).text], [1, '1']);
  });
  await check('one bad type and none is joined', async () => {
    const it = await member(broker, 'ann', 'acme');
    for (const bad of ['x:y', ':', '', '*', 'a.*', 'a..b', '\n']) {
      await denied(it, request('subscribe_notifications', { types: ['good', bad] }), 'Invalid message format');
    }
    same(await send('notifications:acme:ann:good', 1), 0);
  });
  await check('they may be left, and not be sent to', async () => {
    const it = await member(broker, 'ann', 'acme');
    await subscribe(it, ['all']);
    await mayNotSend(it, 'notifications:acme:ann:all');
    it.send(request('leave_channel', { channel: 'notifications:acme:ann:all' }));
    await expectData(it, 'channel_left');
    same(await send('notifications:acme:ann:all', 1), 0);
  });
}

// What comes over the HTTP API as `message` is the frame, byte for byte.
async function verbatim(broker) {
  const texts = [
    '{"type":"user_created","data":{"user":{"id":"7","name":"A"}}}',
    '{"z":1.0, "a":12345678901234567890,"e":"\\u00e9","a":[]}',
    '{}', '[1, 2]', '"hello"', '7', '1e400', 'true', 'null',
  ];
  for (const [what, path, to] of [
    ['a broadcast', '/api/broadcast', ['ann', 'bob', 'eve']],
    ['a tenant’s broadcast', '/api/tenants/acme/broadcast', ['ann', 'bob']],
    ['a notification', '/api/users/ann/notify?tenant=acme', ['ann']],
    ['a send to a channel', '/api/channels/tenant:acme:x/send', ['bob']],
  ]) {
    await check(`${what} is the whole frame, and for nobody else`, async () => {
      await settled(broker);
      const of = {
        ann: await member(broker, 'ann', 'acme'),
        bob: await join(await member(broker, 'bob', 'acme'), 'tenant:acme:x'),
        eve: await join(await member(broker, 'eve', 'acme2'), 'public:x'),
      };
      for (const text of texts) {
        const { json } = await api(broker, 'POST', path, `{"message": ${text} }`);
        same(json, { delivered: to.length }, text);
        for (const name of to) same((await of[name].frame()).text, text);
      }
      await silent(...Object.values(of));
    });
  }
}

// Configured rules replace the defaults, not the dialect's own access.
async function configured(broker) {
  await check('rules open further channels, and close none of one’s own', async () => {
    const [ann, bob] = [await member(broker, 'ann', 'acme'), await member(broker, 'bob', 'acme2', { token: ticket('bob', 'acme2') })];
    await join(ann, 'tenant:acme:closed', 'tenant:acme:x', 'public:x', 'board.1', 'notice.1');
    await mayNotJoin(ann, 'general');
    await mayNotJoin(ann, 'tenant:acme2:x');
    await mayNotSend(ann, 'notice.1');
    post(bob, 'board.1', 1);
    same((await expectTimed(ann, 'channel_message')).message, 1);
    ann.send(request('subscribe_notifications', { types: ['all'] }));
    await expectData(ann, 'notifications_subscribed');
  });
}
