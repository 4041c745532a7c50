// What `*` and `**` stand for, and that one publish reaches a connection once (protocols.md
// section 2).

import { check, same, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { token } from '../lib/tokens.mjs';

// Pattern, topics that it matches, topics that it does not.
const TABLE = [
  ['p.a', ['p.a'], ['p', 'p.b', 'p.a.b', 'p.A']],
  ['p.*', ['p.a', 'p.b', 'p.:/'], ['p', 'p.a.b', 'q.a']],
  ['p.*.c', ['p.b.c', 'p.c.c'], ['p.c', 'p.b.b.c', 'p.b.c.d']],
  ['p.*.*', ['p.a.b'], ['p.a', 'p.a.b.c']],
  ['p.**', ['p.a', 'p.a.b', 'p.a.b.c.d'], ['p', 'q.a', 'pp.a']],
  ['p.**.z', ['p.a.z', 'p.a.b.z', 'p.z.z'], ['p.z', 'p.a.z.b']],
  ['p.**.m.**', ['p.a.m.b', 'p.m.m.m', 'p.a.b.m.c.d'], ['p.m.b', 'p.a.m', 'p.m']],
  ['p.*.**', ['p.a.b', 'p.a.b.c'], ['p.a', 'p']],
  ['p.**.**', ['p.a.b', 'p.a.b.c'], ['p.a']],
  ['*.end', ['p.end', 'x.end'], ['end', 'a.b.end']],
  ['**.end', ['p.end', 'a.b.end'], ['end', 'end.a']],
  ['*', ['p', 'q'], ['p.a']],
  ['**', ['p', 'p.a', 'p.a.b.c'], []],
];

// Every name for everyone: the default rules keep some of them back from `*` and `**`.
const RULES = { rule: [{ topic: '**', allow: ['subscribe', 'publish'], decide: 'allow' }] };

export default async function patterns() {
  await withBroker('patterns', RULES, async (broker) => {
    const alice = await token('alice');
    for (const [pattern, inside, outside] of TABLE) {
      await check(pattern, async () => {
        const reader = await connect(broker, { token: alice });
        const writer = await connect(broker, { token: alice });
        await reader.subscribe(pattern);
        for (const topic of outside) await writer.publish(topic, 'outside');
        for (const topic of inside) {
          await writer.publish(topic, 'inside');
          const { topic: seen, data } = await reader.expect('message');
          same([seen, data], [topic, 'inside']);
        }
        await reader.quiet();
      });
    }
    await check('once, however many patterns match', async () => {
      const reader = await connect(broker, { token: alice });
      const writer = await connect(broker, { token: alice });
      await reader.subscribe('x.y.z', 'x.*.z', 'x.**', '**', '*.*.*', '**.z', 'x.y.z');
      for (let n = 0; n < 50; n += 1) writer.send({ type: 'message', topic: 'x.y.z', data: n });
      for (let n = 0; n < 50; n += 1) same((await reader.expect('message')).data, n);
      await reader.quiet();
      await reader.ask({ type: 'unsubscribe', topic: '**' });
      await writer.publish('x.y.z', 'still');
      same((await reader.expect('message')).data, 'still');
      await reader.quiet();
    });
    await check('a pattern is named as it was subscribed, a message by its topic', async () => {
      const it = await connect(broker, { token: alice });
      await it.subscribe('n.*');
      it.send({ type: 'message', topic: 'n.a', data: 1 });
      same((await it.expect('message')).topic, 'n.a', 'topic');
      same((await it.ask({ type: 'unsubscribe', topic: 'n.*' })).topic, 'n.*', 'topic');
    });
  });
}
