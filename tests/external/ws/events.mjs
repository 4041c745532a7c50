// The dialect `events`: a token at connect or HTTP 401, and the event itself as the delivery
// (protocols.md section 3).

import { check, must, same, withBroker } from '../lib/checks.mjs';
import { CARRIERS, connect, refusal } from '../lib/client.mjs';
import { token } from '../lib/tokens.mjs';

const ENDPOINTS = [
  { path: '/ws', dialect: 'topics' },
  { path: '/events', dialect: 'events' },
];
const RULES = { rule: [{ topic: 'n.**', allow: ['subscribe', 'publish'], decide: 'allow' }] };

export default async function events() {
  await withBroker('events', { endpoint: ENDPOINTS }, async (broker) => {
    await check('no token is HTTP 401', async () => same(await refusal(broker, { path: '/events' }), 401));
    for (const carrier of Object.keys(CARRIERS)) {
      await check(`a bad token by ${carrier} is HTTP 401`, async () => {
        same(await refusal(broker, { path: '/events', token: 'garbage', carrier }), 401);
      });
    }
    await check('by default public.** may be subscribed to, and nothing else', async () => {
      const it = await connect(broker, { path: '/events', token: await token('alice') });
      await it.subscribe('public.news', 'public.**', 'user.alice.notifications');
      for (const topic of ['other', 'room.1.chat', 'user.bob.x']) {
        same((await it.ask({ type: 'subscribe', topic })).code, 403, topic);
      }
    });
  });
  await withBroker('events', { endpoint: ENDPOINTS, ...RULES }, async (broker) => {
    await check('a delivery is the event itself, also across dialects', async () => {
      const it = await connect(broker, { path: '/events', token: await token('alice') });
      const other = await connect(broker, { token: await token('bob') });
      await it.subscribe('n.*');
      await other.subscribe('n.*');
      other.send('{"type":"message","topic":"n.x","data":{"b":1.0,"a":12345678901234567890},"eventType":"task:moved"}');
      const event = await it.next();
      same([event.type, event.topic], ['task:moved', 'n.x']);
      must(event.text.includes('"data":{"b":1.0,"a":12345678901234567890}'), event.text);
      must(typeof event.timestamp === 'string', event.text);
      same((await other.expect('message')).eventType, 'task:moved');
      it.send({ type: 'message', topic: 'n.x', data: 1 });
      same((await it.next()).type, 'message');
      same((await other.expect('message')).metadata.senderId, 'alice');
    });
  });
}
