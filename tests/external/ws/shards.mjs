// The same broker on another number of shards: nothing of it may show (protocols.md section 2).

import { check, same, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { publish, settled } from '../lib/http.mjs';
import { token } from '../lib/tokens.mjs';

// The most is a bit each in a word of the interest table.
const COUNTS = [1, 2, 4, 64];
const READERS = 16;
const MESSAGES = 200;

export default async function shards() {
  for (const count of COUNTS) {
    await withBroker(`${count} shards`, { server: { shards: count } }, async (broker) => {
      const jwt = await token('alice');
      const crowd = (n) => Promise.all(Array.from({ length: n }, () => connect(broker, { token: jwt })));
      await check('order and once, at every subscriber', async () => {
        const readers = await crowd(READERS);
        for (const [n, reader] of readers.entries()) await reader.subscribe(['s.x', 's.*', 's.**'][n % 3], 's.x');
        const [writer] = await crowd(1);
        for (let n = 0; n < MESSAGES; n += 1) writer.send({ type: 'message', topic: 's.x', data: n });
        for (const reader of readers) {
          for (let n = 0; n < MESSAGES; n += 1) same((await reader.expect('message')).data, n);
          await reader.quiet();
        }
      });
      await check('in force when `subscribed` has been seen', async () => {
        const clients = await crowd(READERS);
        for (const [n, reader] of clients.entries()) {
          await reader.subscribe(`r.${n}.*`);
          clients[(n + 1) % READERS].send({ type: 'message', topic: `r.${n}.x`, data: n });
          same((await reader.expect('message')).data, n);
        }
      });
      await check('over when `unsubscribed` has been seen', async () => {
        await settled(broker);
        const clients = await crowd(READERS);
        for (const reader of clients) {
          await reader.subscribe('u.x');
          await reader.ask({ type: 'unsubscribe', topic: 'u.x' });
        }
        same((await publish(broker, { topic: 'u.x', data: 1 })).json, { delivered: 0 });
        for (const reader of clients) await reader.quiet();
      });
      await check('HTTP reaches and counts them all', async () => {
        await settled(broker);
        const readers = await crowd(READERS);
        for (const reader of readers) await reader.subscribe('s.h');
        same((await publish(broker, { topic: 's.h', data: 'h' })).json, { delivered: READERS });
        for (const reader of readers) same((await reader.expect('message')).data, 'h');
      });
    });
  }
}
