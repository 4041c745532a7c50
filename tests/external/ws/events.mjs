// The dialect `events`: a token at connect or HTTP 401, and the event itself as the delivery
// (protocols.md sections 3 and 6).

import { check, must, same, withBroker } from '../lib/checks.mjs';
import { CARRIERS, connect, refusal } from '../lib/client.mjs';
import { api, publish, settled } from '../lib/http.mjs';
import { forge, inSeconds, token } from '../lib/tokens.mjs';
import { rows } from './asking.mjs';

const PATH = '/events';
const RULES = { rule: [{ topic: 'n.**', allow: ['subscribe', 'publish'], decide: 'allow' }] };

export default async function events() {
  await withBroker('events', { auth: { leeway_s: 0 } }, async (broker) => {
    await doors(broker);
    await defaults(broker);
    await words(broker);
  });
  await withBroker('events', RULES, deliveries);
  const open = { endpoint: [{ path: PATH, dialect: 'events', require_authentication: false }] };
  await withBroker('events', open, anonymous);
}

const client = async (broker, user = 'alice') => connect(broker, { path: PATH, token: await token(user) });

async function doors(broker) {
  await check('no token is HTTP 401', async () => same(await refusal(broker, { path: PATH }), 401));
  for (const carrier of Object.keys(CARRIERS)) {
    await check(`a token by ${carrier} lets in, a bad one is HTTP 401`, async () => {
      same(await refusal(broker, { path: PATH, token: 'garbage', carrier }), 401);
      same(await refusal(broker, { path: PATH, token: forge({ sub: 'a', exp: inSeconds(-60) }), carrier }), 401);
      const it = await connect(broker, { path: PATH, token: await token('alice'), carrier });
      // Nothing is sent on connect.
      await it.quiet();
    });
  }
}

// The document's list: what is one's own and what is public; rooms would be asked about.
async function defaults(broker) {
  await rows('alice', () => client(broker), [
    ['subscribe', 'public.news', 'subscribed'],
    ['subscribe', 'public.**', 'subscribed'],
    ['subscribe', 'user.alice.notifications', 'subscribed'],
    ['subscribe', 'user.alice.**', 'subscribed'],
    ['subscribe', 'user.bob.notifications', 403],
    ['subscribe', 'user.*.notifications', 403],
    ['subscribe', 'room.1.messages', 403],
    ['subscribe', 'system.notifications', 403],
    ['subscribe', 'admin.log', 403],
    ['subscribe', 'other', 403],
    ['subscribe', '**', 403],
    ['message', 'public.news', 403],
    ['message', 'user.alice.notifications', 403],
  ]);
  const root = async () => connect(broker, { path: PATH, token: await token('root', '--role', 'admin') });
  await rows('admin', root, [['subscribe', 'admin.**', 'subscribed'], ['subscribe', 'other', 403]]);
  await check('the document’s array of topics: a reply each, in order', async () => {
    const it = await client(broker);
    it.send({ type: 'subscribe', topics: ['user.alice.notifications', 'system.notifications', 'public.a'] });
    const replies = [await it.next(), await it.next(), await it.next()];
    same(
      replies.map(({ type, topic, details }) => [type, topic ?? details.topic]),
      [['subscribed', 'user.alice.notifications'], ['error', 'system.notifications'], ['subscribed', 'public.a']],
    );
  });
}

// The rest is as in `topics`.
async function words(broker) {
  await check('errors, ids and auth as in topics', async () => {
    const it = await client(broker);
    for (const [message, code] of [['x', 400], ['{"type":"dance"}', 400], ['{"type":"subscribe"}', 400], ['{"type":"subscribe","topic":"a..b"}', 400]]) {
      const { type, code: is, details } = await it.ask(message);
      same([type, is, typeof details], ['error', code, 'object'], message);
    }
    const reply = await it.ask('{"type":"subscribe","topic":"public.a","id":1.50}');
    must(reply.text.includes('"id":1.50'), reply.text);
    same((await it.ask({ type: 'auth', token: await token('bob') })).userId, 'bob');
    same((await it.ask({ type: 'subscribe', topic: 'user.bob.x' })).type, 'subscribed');
  });
  await check('auth_expired, then 4401', async () => {
    const it = await connect(broker, { path: PATH, token: forge({ sub: 'alice', exp: inSeconds(2) }) });
    same((await it.expect('auth_expired')).code, 401);
    await it.closes(4401);
  });
}

async function deliveries(broker) {
  await check('a delivery is the event itself, with topic and timestamp', async () => {
    const it = await client(broker);
    await it.subscribe('n.*');
    const data = '{"b":1.0,"a":12345678901234567890,"a":"\\u00e9"}';
    for (const [more, type] of [['', 'message'], [',"eventType":"task:moved"', 'task:moved'], [',"eventType":""', ''], [',"eventType":null', 'message']]) {
      it.send(`{"type":"message","topic":"n.x","data":${data}${more},"metadata":{"k":1}}`);
      const event = await it.next();
      same(Object.keys(event).sort(), ['data', 'timestamp', 'topic', 'type'], 'keys');
      same([event.type, event.topic], [type, 'n.x']);
      must(event.text.includes(`"data":${data}`), event.text);
      must(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(event.timestamp), event.text);
    }
  });
  await check('what the services of the document publish', async () => {
    await settled(broker);
    const it = await client(broker);
    await it.subscribe('n.1');
    const { json } = await publish(broker, { topic: 'n.1', eventType: 'chat_message', data: { text: 'hi' } });
    same(json, { delivered: 1 });
    const { type, data, topic } = await it.next();
    same([type, data, topic], ['chat_message', { text: 'hi' }, 'n.1']);
  });
  await check('notify, tenant’s and everyone’s broadcast are events', async () => {
    await settled(broker);
    const it = await connect(broker, { path: PATH, token: await token('carol', '--tenant', 'acme') });
    await it.quiet();
    for (const [path, topic] of [
      ['/api/users/carol/notify?tenant=acme', 'user.carol.notifications'],
      ['/api/tenants/acme/broadcast', 'tenant.acme'],
      ['/api/broadcast', 'broadcast'],
    ]) {
      same((await api(broker, 'POST', path, { message: { type: 'news', data: [1] } })).json, { delivered: 1 }, path);
      const event = await it.next();
      same([event.type, event.data, event.topic], ['news', [1], topic]);
      await api(broker, 'POST', path, { message: 'bare' });
      const bare = await it.next();
      same([bare.type, bare.data], ['notification', 'bare']);
    }
  });
}

// Where no token is required, the public topics are all there is.
async function anonymous(broker) {
  await rows('anonymous', () => connect(broker, { path: PATH }), [
    ['subscribe', 'public.news', 'subscribed'],
    ['subscribe', 'user.alice.x', 403],
    ['subscribe', 'other', 403],
    ['message', 'public.news', 403],
  ]);
  await check('a bad token is HTTP 401 all the same', async () => {
    same(await refusal(broker, { path: PATH, token: 'garbage' }), 401);
  });
}
