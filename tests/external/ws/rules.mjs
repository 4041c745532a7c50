// What a user may subscribe to and publish: the default rules, and configured ones (protocols.md
// sections 6 and 11).

import { check, same, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { forge, inSeconds, token } from '../lib/tokens.mjs';
import { answer, rows } from './asking.mjs';

const ALLOW = ['subscribe', 'publish'];

export default async function rules() {
  await withBroker('default rules', {}, defaults);
  await withBroker('configured rules', {
    rule: [
      { topic: 'shop.secret.**', allow: ALLOW, decide: 'deny' },
      { topic: 'shop.**', allow: ['subscribe'], decide: 'allow' },
      { topic: 'own.{userId}.*', allow: ALLOW, decide: 'allow' },
      { topic: 'org:{tenantId}:*', allow: ALLOW, decide: 'allow' },
      { topic: 'staff.**', allow: ALLOW, role: 'staff', decide: 'allow' },
    ],
  }, configured);
}

async function defaults(broker) {
  const as = (jwt) => async () => connect(broker, { token: await jwt });
  await rows('alice', as(token('alice')), [
    ['subscribe', 'anything.at.all', 'subscribed'],
    ['subscribe', 'anything.**', 'subscribed'],
    ['message', 'anything.at.all', 'published'],
    ['subscribe', 'public.**', 'subscribed'],
    ['subscribe', 'user.alice.notifications', 'subscribed'],
    ['subscribe', 'user.alice.*', 'subscribed'],
    ['subscribe', 'user.alice.**', 'subscribed'],
    ['message', 'user.alice.notifications', 403],
    ['subscribe', 'user.bob.notifications', 403],
    ['subscribe', 'user.*.notifications', 403],
    ['subscribe', 'user.*', 403],
    ['subscribe', 'user.**', 403],
    ['subscribe', '**', 403],
    ['subscribe', '*.alice.x', 403],
    ['subscribe', '**.notifications', 403],
    ['message', 'user.bob.notifications', 403],
    ['subscribe', 'admin.log', 403],
    ['subscribe', 'admin.**', 403],
    ['message', 'admin.log', 403],
    ['subscribe', 'user:alice', 403],
    ['subscribe', 'notifications:acme:alice:x', 403],
    ['message', 'tenant:acme:general', 403],
  ]);
  await rows('admin', as(token('root', '--role', 'admin')), [
    ['subscribe', 'admin.**', 'subscribed'],
    ['message', 'admin.log', 'published'],
    ['subscribe', 'user.bob.**', 403],
    ['subscribe', '**', 403],
    ['subscribe', '*.log', 403],
  ]);
  const exp = inSeconds(600);
  await rows('user id `*`', as(forge({ sub: '*', exp })), [
    ['subscribe', 'user.*.notifications', 403],
    ['subscribe', 'user.bob.notifications', 403],
  ]);
  await rows('user id `**`', as(forge({ sub: '**', exp })), [['subscribe', 'user.**', 403]]);
  await rows('user id `bob.x`', as(forge({ sub: 'bob.x', exp })), [['subscribe', 'user.bob.x.y', 403]]);
}

async function configured(broker) {
  const jwt = forge({ sub: 'alice', tenantId: 'acme', exp: inSeconds(600) });
  const client = () => connect(broker, { token: jwt });
  await rows('alice', client, [
    ['subscribe', 'shop.a', 'subscribed'],
    ['message', 'shop.a', 403],
    ['subscribe', 'shop.secret.a', 403],
    ['subscribe', 'shop.**', 403],
    ['subscribe', 'shop.*', 'subscribed'],
    ['subscribe', 'shop.open.**', 'subscribed'],
    ['subscribe', 'own.alice.x', 'subscribed'],
    ['message', 'own.alice.x', 'published'],
    ['subscribe', 'own.alice.**', 403],
    ['subscribe', 'own.bob.x', 403],
    ['subscribe', 'own.*.x', 403],
    ['subscribe', 'org:acme:general', 'subscribed'],
    ['subscribe', 'org:acme2:general', 403],
    ['subscribe', 'staff.x', 403],
    ['subscribe', 'elsewhere', 403],
  ]);
  const staff = async () => connect(broker, { token: await token('carol', '--role', 'staff') });
  await rows('staff', staff, [['message', 'staff.x', 'published'], ['subscribe', 'staff.**', 'subscribed']]);
  await check('a deny rule is stronger than the channels of a token', async () => {
    const it = await connect(broker, { token: await token('dave', '--channel', 'shop.secret.x', '--channel', 'else.x') });
    same(await answer(it, 'subscribe', 'shop.secret.x'), 403);
    same(await answer(it, 'subscribe', 'else.x'), 'subscribed');
  });
}
