// What the broker takes from a token: the user id from any of its claims, roles, tenant, channels
// (protocols.md sections 1 and 11).

import { check, same, withBroker } from '../lib/checks.mjs';
import { connect, refusal } from '../lib/client.mjs';
import { forge, inSeconds, token } from '../lib/tokens.mjs';

export default async function identity() {
  await withBroker('identity', {}, async (broker) => {
    await userIds(broker);
    await grants(broker);
  });
  const base = { topic: 'base', allow: ['subscribe'], decide: 'allow' };
  await withBroker('identity', { rule: [base] }, channels);
  await withBroker('identity', { auth: { issuer: 'us', audience: 'them' } }, issuer);
  await withBroker('identity', { auth: { require_exp: true } }, async (broker) => {
    await check('a token without exp is refused where exp is required', async () => {
      same(await refusal(broker, { token: forge({ sub: 'alice' }) }), 401, 'status');
    });
  });
}

// Who the broker says that we are.
async function named(broker, claims, options) {
  const reply = await (await connect(broker)).ask({ type: 'auth', token: forge(claims, options) });
  return reply.userId ?? reply.text;
}

async function userIds(broker) {
  const exp = inSeconds(600);
  const claims = {
    sub: [`{"sub":"alice","userId":"no","exp":${exp}}`, 'alice'],
    userId: [`{"userId":"bob","id":"no","exp":${exp}}`, 'bob'],
    id: [`{"id":"carol","user_id":"no","exp":${exp}}`, 'carol'],
    user_id: [`{"user_id":"dave","exp":${exp}}`, 'dave'],
    'number of sub': [`{"sub":42,"exp":${exp}}`, '42'],
    'large number of sub': [`{"sub":12345678901234567890,"exp":${exp}}`, '12345678901234567890'],
  };
  for (const [name, [text, user]] of Object.entries(claims)) {
    await check(`user id from ${name}`, async () => same(await named(broker, text), user, 'user'));
  }
  for (const alg of ['HS256', 'HS384', 'HS512']) {
    await check(`signature ${alg}`, async () => {
      same(await named(broker, { sub: 'alice', exp }, { header: { alg, typ: 'JWT' } }), 'alice', 'user');
    });
  }
  await check('a token without exp is good', async () => same(await named(broker, { sub: 'alice' }), 'alice'));
  await check('exp has a leeway of 5 s', async () => {
    same(await named(broker, { sub: 'alice', exp: inSeconds(-1) }), 'alice');
  });
}

async function grants(broker) {
  // Whether the bearer of a token may subscribe to this pattern.
  const may = async (jwt, topic) => {
    const reply = await (await connect(broker, { token: jwt })).ask({ type: 'subscribe', topic });
    return reply.code ?? reply.type;
  };
  const exp = inSeconds(600);
  await check('role admin by `roles`, by `role` and by the token command', async () => {
    same(await may(forge({ sub: 'a', exp, roles: ['x', 'admin'] }), 'admin.log'), 'subscribed');
    same(await may(forge({ sub: 'a', exp, role: 'admin' }), 'admin.log'), 'subscribed');
    same(await may(await token('a', '--role', 'admin'), 'admin.log'), 'subscribed');
    same(await may(await token('a'), 'admin.log'), 403);
  });
}

// The rules give nothing but `base`: what is allowed beyond comes from the token.
async function channels(broker) {
  await check('channels of a token allow subscribe, not publish', async () => {
    const it = await connect(broker, { token: await token('a', '--channel', 'news.*', '--channel', 'x.**') });
    await it.subscribe('news.today', 'news.*', 'x.y.z', 'x.**', 'base');
    for (const topic of ['news.a.b', 'news.**', 'x', 'other']) {
      same((await it.ask({ type: 'subscribe', topic })).code, 403, topic);
    }
    same((await it.ask({ type: 'message', topic: 'news.today', data: 1 })).code, 403);
  });
}

async function issuer(broker) {
  const exp = inSeconds(600);
  await check('iss and aud as configured', async () => {
    const status = (claims) => refusal(broker, { token: forge({ sub: 'a', exp, ...claims }) });
    same(await status({ iss: 'us', aud: 'them' }), 101);
    same(await status({ iss: 'us', aud: ['others', 'them'] }), 101);
    same(await status({ iss: 'others', aud: 'them' }), 401);
    same(await status({ iss: 'us', aud: 'others' }), 401);
    same(await status({}), 401);
  });
}
