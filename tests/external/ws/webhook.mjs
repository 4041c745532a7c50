// Rules that ask a webhook: the question and its signature, which answers are remembered, and who
// waits for one (protocols.md sections 6 and 11).

import { createHmac } from 'node:crypto';
import http from 'node:http';

import { check, must, same, until, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { token } from '../lib/tokens.mjs';
import { answer, rows } from './asking.mjs';
import { denied, expectTimed, join, member, post, request, silent } from './membership.mjs';

const ALLOW = ['subscribe', 'publish'];
const SECRET = 'the secret of the webhook';

// What it answers to a topic whose second segment this is; anything else it denies.
const ANSWERS = {
  open: { allow: true },
  shut: { allow: false },
  once: { allow: true, ttl: 0 },
  brief: { allow: true, ttl: 1 },
  odd: { allow: 'yes' },
};

// A webhook that keeps its questions. Of topics in `room.held` it answers when `release` is called,
// of those in `room.never` never, of those in `room.broken` with a 500.
async function startWebhook() {
  const asked = [];
  const held = [];
  const server = http.createServer(async (incoming, response) => {
    let body = '';
    for await (const chunk of incoming) body += chunk;
    asked.push({ ...JSON.parse(body), body, method: incoming.method, headers: incoming.headers });
    const kind = asked.at(-1).topic.split('.')[1];
    if (kind === 'broken') response.writeHead(500).end('{"allow":true}');
    else if (kind === 'gone') response.writeHead(302, { Location: '/elsewhere' }).end();
    else if (kind === 'held') held.push(() => response.end('{"allow":true}'));
    else if (kind !== 'never') response.end(JSON.stringify(ANSWERS[kind] ?? { allow: false }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/authorize?by=name`,
    asked,
    count: (topic, action = 'subscribe') => asked.filter((it) => it.topic === topic && it.action === action).length,
    release: () => held.splice(0).forEach((reply) => reply()),
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

export default async function webhook() {
  const hook = await startWebhook();
  const rule = [
    { topic: 'room.secret.**', allow: ALLOW, decide: 'deny' },
    { topic: 'room.*.**', allow: ALLOW, decide: 'webhook' },
    { topic: 'free.**', allow: ALLOW, decide: 'allow' },
  ];
  const settings = { rule, webhook: { url: hook.url, secret: SECRET } };
  await withBroker('webhook', settings, async (broker) => {
    const jwt = await token('alice', '--role', 'member', '--tenant', 'acme');
    const client = () => connect(broker, { token: jwt });
    await questions(client, hook);
    await remembering(broker, client, hook);
    await waiting(broker, client, hook);
    await channels(broker, hook);
  });
  await withBroker('webhook', { rule, webhook: { url: hook.url, secret: SECRET, signed_timestamp: true } }, async (broker) => {
    await check('the signature covers the time where it shall', async () => {
      const it = await connect(broker, { token: await token('alice') });
      same(await answer(it, 'subscribe', 'room.open.time'), 'subscribed');
      const { headers, body } = hook.asked.at(-1);
      const time = headers['x-shardwire-timestamp'];
      must(Math.abs(Date.now() / 1000 - Number(time)) < 30, `time ${time}`);
      same(headers['x-shardwire-signature'], `sha256=${sign(`${time}.${body}`)}`);
    });
  });
  await withBroker('webhook', { rule }, async (broker) => {
    await check('none configured: the rule denies', async () => {
      same(await answer(await connect(broker, { token: await token('alice') }), 'subscribe', 'room.open.a'), 403);
    });
  });
  hook.close();
}

const sign = (text) => createHmac('sha256', SECRET).update(text).digest('hex');

async function questions(client, hook) {
  await rows('webhook', client, [
    ['subscribe', 'room.open.a', 'subscribed'],
    ['subscribe', 'room.shut.a', 403],
    ['message', 'room.open.a', 'published'],
    ['message', 'room.shut.a', 403],
    ['subscribe', 'room.broken.a', 403],
    ['subscribe', 'room.gone.a', 403],
    ['subscribe', 'room.odd.a', 403],
    ['subscribe', 'room.secret.a', 403],
    // A pattern that the rule covers is asked about as it stands; one that reaches further is not.
    ['subscribe', 'room.open.*', 'subscribed'],
    ['subscribe', 'room.open.**', 'subscribed'],
    ['subscribe', 'room.**', 403],
    ['subscribe', 'room.*.a', 403],
    ['subscribe', '**', 403],
  ]);
  await check('the question is whole and signed', async () => {
    const { method, headers, body, ...question } = hook.asked[0];
    const { connectionId, ...rest } = question;
    same(
      rest,
      { action: 'subscribe', topic: 'room.open.a', userId: 'alice', tenantId: 'acme', roles: ['member'], clientIp: '127.0.0.1' },
    );
    must(typeof connectionId === 'string', `connectionId ${connectionId}`);
    same([method, headers['content-type'].split(';')[0]], ['POST', 'application/json']);
    same(headers['x-shardwire-signature'], `sha256=${sign(body)}`);
    same(hook.count('room.open.*'), 1, 'questions about a pattern');
    same([hook.count('room.secret.a'), hook.count('room.**')], [0, 0], 'questions that need none');
  });
}

async function remembering(broker, client, hook) {
  await check('an answer is remembered, whoever of the same user asks', async () => {
    const before = hook.count('room.open.a');
    for (let n = 0; n < 3; n += 1) same(await answer(await client(), 'subscribe', 'room.open.a'), 'subscribed');
    same(hook.count('room.open.a'), before, 'questions');
    const bob = await connect(broker, { token: await token('bob') });
    same(await answer(bob, 'subscribe', 'room.open.a'), 'subscribed');
    same(hook.count('room.open.a'), before + 1, 'questions of another user');
    same(await answer(await client(), 'subscribe', 'room.shut.a'), 403);
    same(hook.count('room.shut.a'), 1, 'questions after a no');
  });
  await check('a failure is not remembered', async () => {
    const before = hook.count('room.broken.a');
    same(await answer(await client(), 'subscribe', 'room.broken.a'), 403);
    same(hook.count('room.broken.a'), before + 1, 'questions');
  });
  await check('as long as it says: not at all, or a second', async () => {
    const it = await client();
    for (let n = 1; n <= 3; n += 1) {
      same(await answer(it, 'message', 'room.once.a'), 'published');
      same(hook.count('room.once.a', 'publish'), n, 'questions');
    }
    const times = () => hook.count('room.brief.a', 'publish');
    for (let n = 0; n < 3; n += 1) same(await answer(it, 'message', 'room.brief.a'), 'published');
    const first = times();
    must(first >= 1 && first <= 2, `${first} questions`);
    await until(async () => {
      same(await answer(it, 'message', 'room.brief.a'), 'published');
      return times() > first;
    }, 'another question');
  });
}

async function waiting(broker, client, hook) {
  await check('who asks waits, and nobody else; what it sent is answered in order', async () => {
    const [asking, other] = [await client(), await client()];
    asking.send({ type: 'subscribe', topic: 'room.held.a', id: 1 });
    asking.send({ type: 'subscribe', topic: 'free.a', id: 2 });
    asking.send({ type: 'ping', id: 3 });
    await until(() => hook.count('room.held.a') === 1, 'the question');
    await other.subscribe('free.a');
    other.send({ type: 'message', topic: 'free.a', data: 1 });
    await other.expect('message');
    hook.release();
    const replies = [await asking.next(), await asking.next(), await asking.next()];
    same(replies.map(({ type, id }) => [type, id]), [['subscribed', 1], ['subscribed', 2], ['pong', 3]]);
  });
  await check('an array with one that is asked about: every reply, in order', async () => {
    const it = await client();
    it.send({ type: 'subscribe', topics: ['free.b', 'room.held.b', 'room.secret.b', 'free.c'] });
    await until(() => hook.count('room.held.b') === 1, 'the question');
    hook.release();
    const replies = [];
    for (let n = 0; n < 4; n += 1) replies.push(await it.next());
    same(
      replies.map(({ type, topic, details }) => [type, topic ?? details.topic]),
      [['subscribed', 'free.b'], ['subscribed', 'room.held.b'], ['error', 'room.secret.b'], ['subscribed', 'free.c']],
    );
  });
  await check('thirty who ask the same at once are one question', async () => {
    const all = await Promise.all(Array.from({ length: 30 }, client));
    for (const it of all) it.send({ type: 'subscribe', topic: 'room.held.crowd' });
    await until(() => hook.count('room.held.crowd') >= 1, 'the question');
    const release = setInterval(hook.release, 50);
    for (const it of all) await it.expect('subscribed');
    clearInterval(release);
    same(hook.count('room.held.crowd'), 1, 'questions');
  });
  await check('no answer within two seconds is a no', async () => {
    const it = await client();
    const began = Date.now();
    same(await answer(it, 'subscribe', 'room.never.a'), 403);
    const took = Date.now() - began;
    must(took > 1900 && took < 6000, `after ${took} ms`);
    await it.quiet();
  });
  await check('who goes while it waits leaves nothing behind', async () => {
    const it = await client();
    it.send({ type: 'subscribe', topic: 'room.held.gone' });
    await until(() => hook.count('room.held.gone') === 1, 'the question');
    await it.close();
    hook.release();
    await (await client()).quiet();
  });
}

async function channels(broker, hook) {
  await check('the dialect channels asks for what it does not open itself', async () => {
    const [ann, bob] = [await member(broker, 'ann', 'acme'), await member(broker, 'bob', 'acme')];
    await join(ann, 'room.open.x');
    post(bob, 'room.open.x', 'hi');
    same((await expectTimed(ann, 'channel_message')).message, 'hi');
    await denied(ann, request('join_channel', { channel: 'room.shut.x' }), 'Access denied to channel');
    await denied(ann, request('send_message', { channel: 'room.shut.x', message: 1 }), 'Permission denied');
    await join(ann, 'tenant:acme:x', 'public:x');
    await silent(ann, bob);
    const about = hook.asked.filter(({ topic }) => /:/.test(topic));
    same(about.length, 0, 'questions about its own');
  });
}
