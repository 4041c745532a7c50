// Who gets in by origin, path and request (protocols.md sections 10 and 11).

import { check, must, same, withBroker } from '../lib/checks.mjs';
import { refusal } from '../lib/client.mjs';
import { get } from '../lib/http.mjs';
import { token } from '../lib/tokens.mjs';

export default async function doors() {
  await withBroker('doors', {}, async (broker) => {
    const jwt = await token('alice');
    const from = (origin) => refusal(broker, { token: jwt, ...(origin && { origin }) });
    await check('no Origin is let in', async () => same(await from(undefined), 101));
    await check('the same host is let in', async () => same(await from(broker.url), 101));
    await check('another host is 403', async () => same(await from('https://evil.example'), 403));
    await check('another port is 403', async () => same(await from('http://127.0.0.1:1'), 403));
    await check('the host as a prefix is 403', async () => same(await from(`${broker.url}.evil.example`), 403));
    await check('origin null is 403', async () => same(await from('null'), 403));
    await check('an unknown path is 404', async () => {
      same(await refusal(broker, { token: jwt, path: '/nowhere' }), 404);
      same((await get(broker, '/nowhere')).status, 404);
    });
    await check('a plain GET of an endpoint is refused, not served', async () => {
      const { status } = await get(broker, `/ws?token=${jwt}`);
      must(status >= 400 && status < 500, `status ${status}`);
    });
    await check('request headers over 16 KiB are 431', async () => {
      const { status } = await get(broker, '/health', { headers: { 'X-Long': 'x'.repeat(17_000) } });
      same(status, 431, 'status');
    });
    await check('more than 100 header lines are 431', async () => {
      const headers = Object.fromEntries(Array.from({ length: 120 }, (_, n) => [`X-${n}`, 'x']));
      same((await get(broker, '/health', { headers })).status, 431, 'status');
    });
  });
  const listed = { server: { allow_origins: ['https://app.example', 'http://localhost:5173'] } };
  await withBroker('doors', listed, async (broker) => {
    const jwt = await token('alice');
    for (const [origin, status] of [
      ['https://app.example', 101],
      ['http://localhost:5173', 101],
      ['http://app.example', 403],
      ['https://app.example.evil.example', 403],
      ['https://app.example:8443', 403],
    ]) {
      await check(`listed origins: ${origin} is ${status}`, async () => {
        same(await refusal(broker, { token: jwt, origin }), status);
      });
    }
  });
  await withBroker('doors', { server: { allow_origins: ['*'] } }, async (broker) => {
    await check('any origin with "*"', async () => {
      same(await refusal(broker, { token: await token('alice'), origin: 'https://any.example' }), 101);
    });
  });
}
