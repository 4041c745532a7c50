// A consumer that does not read: given up by policy, and nobody else notices (protocols.md sections
// 9 and 11).

import { check, must, same, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { api } from '../lib/http.mjs';
import { token } from '../lib/tokens.mjs';

const OUTBOX = 256 * 1024;
// Far more than the kernel takes into its buffers on either side for one connection.
const MESSAGE = 'x'.repeat(32 * 1024);
const MESSAGES = 1000;
// So many fill an outbox.
const HELD = OUTBOX / MESSAGE.length;
// 32 MB go through the broker, one message at a time.
const LIMIT_MS = 60_000;

const settings = (more) => ({
  // The outbox has to hold the largest message at least.
  websocket: { max_message_bytes: OUTBOX / 2 },
  slow_consumer: { outbox_bytes_max: OUTBOX, ...more },
});

export default async function slow() {
  await withBroker('slow consumer', settings(), async (broker) => {
    await check('1013 for the slow one, everything for the other', async () => {
      // It hears why if it reads again within five seconds: before the flood is over.
      const givenUp = async () => (await api(broker, 'GET', '/api/stats')).json.closed.slow_consumer > 0;
      const sleeper = await flooded(broker, givenUp);
      await sleeper.closes(1013);
    }, LIMIT_MS);
  });
  for (const policy of ['drop-oldest', 'drop-newest', 'conflate']) {
    await withBroker(`slow consumer, ${policy}`, settings({ policy }), async (broker) => {
      await check('stays, and misses some', async () => {
        const sleeper = await flooded(broker);
        sleeper.socket.resume();
        // A pong cannot overtake, so it ends what is there to be read.
        sleeper.send({ type: 'ping' });
        const numbers = [];
        for (let frame = await sleeper.next(); frame.type === 'message'; frame = await sleeper.next()) {
          numbers.push(frame.data.n);
        }
        must(numbers.length < MESSAGES, 'nothing was dropped');
        must(numbers.every((n, at) => at === 0 || n > numbers[at - 1]), 'not in order');
        same(numbers[0], 0, 'the first');
        if (policy !== 'drop-newest') same(numbers.at(-1), MESSAGES - 1, 'the last');
        else must(newest(numbers) < HELD / 2, 'the newest came');
      }, LIMIT_MS);
    });
  }
}

// How many came of those that an outbox kept for the newest would hold. One or two may: the kernel
// finds room for some more whenever it tidies up its buffers.
const newest = (numbers) => numbers.filter((n) => n >= MESSAGES - HELD).length;

// A subscriber that has not read while MESSAGES were published, or not until `enough` says so; another
// one has read them all.
async function flooded(broker, enough = () => false) {
  const jwt = await token('alice');
  const sleeper = await connect(broker, { token: jwt });
  await sleeper.subscribe('flood');
  sleeper.socket.pause();
  const reader = await connect(broker, { token: jwt });
  await reader.subscribe('flood');
  const writer = await connect(broker, { token: jwt });
  for (let n = 0; n < MESSAGES; n += 1) {
    // One at a time, so that the reader is never behind by more than one.
    writer.send({ type: 'message', topic: 'flood', data: { n, MESSAGE } });
    same((await reader.expect('message')).data.n, n, 'number');
    if (n % 10 === 0 && (await enough())) sleeper.socket.resume();
  }
  return sleeper;
}
