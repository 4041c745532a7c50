// Other settings at SIGHUP, as who is connected sees them: what is no longer granted is withdrawn in
// the form of each dialect, and the rest goes on (protocols.md sections 3, 4 and 11).

import { check, same, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { publish } from '../lib/http.mjs';
import { token } from '../lib/tokens.mjs';
import { denied, expectData, expectTimed, join, member, request, silent } from './membership.mjs';

const rule = (...topics) => topics.map((topic) => ({ topic, allow: ['subscribe', 'publish'], decide: 'allow' }));

export default async function reload() {
  await withBroker('reload', { rule: rule('board.**', 'kept.**') }, async (broker) => {
    await check('a rule that is gone takes its subscriptions along', async () => {
      const tom = await connect(broker, { token: await token('tom') });
      const eve = await connect(broker, { path: '/events', token: await token('eve') });
      for (const it of [tom, eve]) await it.subscribe('board.1', 'kept.1');
      const cha = await join(await member(broker, 'cha', 'acme'), 'board.1', 'kept.1', 'tenant:acme:x', 'public:x');
      cha.send(request('subscribe_notifications', { types: ['all'] }));
      await expectData(cha, 'notifications_subscribed');
      await broker.reload({ rule: rule('kept.**') });
      for (const it of [tom, eve]) {
        const { topic, reason } = await it.expect('unsubscribed');
        same([topic, reason], ['board.1', 'forbidden']);
      }
      same(await expectData(cha, 'channel_left'), { channel: 'board.1', reason: 'forbidden' });
      same((await publish(broker, { topic: 'board.1', data: 1 })).json, { delivered: 0 });
      same((await publish(broker, { topic: 'kept.1', data: 2 })).json, { delivered: 3 });
      same([(await tom.expect('message')).data, (await eve.next()).data], [2, 2]);
      same((await expectTimed(cha, 'channel_message')).message, 2);
      for (const topic of ['tenant:acme:x', 'public:x', 'notifications:acme:cha:all']) {
        same((await publish(broker, { topic, data: 3 })).json, { delivered: 1 }, topic);
        await expectTimed(cha, 'channel_message');
      }
      await denied(cha, request('join_channel', { channel: 'board.1' }), 'Access denied to channel');
      same((await tom.ask({ type: 'subscribe', topic: 'board.1' })).code, 403);
      await silent(cha);
    });
    await check('a tenant that is put on ice goes, the others stay', async () => {
      const [ann, eve] = [await member(broker, 'ann', 'acme'), await member(broker, 'eve', 'acme2')];
      const tom = await connect(broker, { token: await token('tom', '--tenant', 'acme') });
      await tom.quiet();
      await broker.reload({ tenants: { inactive: ['acme'] } });
      for (const it of [ann, tom]) await it.closes(1008);
      await silent(eve);
      const again = await connect(broker, { path: '/channels', token: await token('ann', '--tenant', 'acme') });
      same(await again.closed, { code: 1000, reason: 'Authentication failed' });
    });
    await check('what is wrong changes nothing', async () => {
      const eve = await member(broker, 'eve', 'acme2');
      await broker.reload({ limits: { window_ms: -1 } }).then(
        () => { throw new Error('it was taken'); },
        () => {},
      );
      await silent(eve);
    });
  });
}
