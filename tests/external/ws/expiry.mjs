// When a token's time is over: `auth_expired`, then 4401, unless a new `auth` came before
// (protocols.md sections 1 and 11).

import { check, must, same, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { shortToken, token } from '../lib/tokens.mjs';

export default async function expiry() {
  await withBroker('expiry', { auth: { leeway_s: 0 } }, async (broker) => {
    await check('auth_expired is the last frame before 4401', async () => {
      const client = await connect(broker, { token: await shortToken('alice', '2s') });
      const last = await client.expect('auth_expired');
      same(last.code, 401);
      same(Object.keys(last).sort(), ['code', 'message', 'timestamp', 'type'], 'keys');
      must(typeof last.message === 'string', last.text);
      const { reason } = await client.closes(4401);
      must(reason.length > 0, 'no reason');
      await client.frame().then(
        ({ text }) => must(false, `a frame after it: ${text}`),
        () => {},
      );
    });
    await check('the token of an auth message expires likewise', async () => {
      const client = await connect(broker);
      await client.ask({ type: 'auth', token: await shortToken('alice', '2s') });
      await client.expect('auth_expired');
      await client.closes(4401);
    });
    await check('a new auth keeps the connection', async () => {
      const short = await shortToken('alice', '2s');
      const renewed = await connect(broker, { token: short });
      await renewed.subscribe('kept');
      same((await renewed.ask({ type: 'auth', token: await token('alice') })).type, 'auth_success');
      // The other bearer of the same token shows when its time is over.
      await (await connect(broker, { token: short })).closes(4401);
      renewed.send({ type: 'message', topic: 'kept', data: 1 });
      await renewed.expect('message');
    });
  });
}
