// Who is alive: the broker's pings, and 4408 for those who give no sign (protocols.md sections 3
// and 11).

import { check, same, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { OPCODE, rawConnect } from '../lib/raw.mjs';
import { token } from '../lib/tokens.mjs';

const TIMES = { websocket: { ping_interval_ms: 200, ping_timeout_ms: 600 } };

export default async function heartbeat() {
  await withBroker('heartbeat', TIMES, async (broker) => {
    const alice = await token('alice');
    await check('no sign of life is 4408, after pings', async () => {
      const it = await rawConnect(broker, `/ws?token=${alice}`);
      same((await it.frame()).opcode, OPCODE.ping, 'first frame');
      same(await it.closeCode(), 4408, 'close code');
    });
    await check('pongs keep a connection, far beyond the time limit', async () => {
      const it = await connect(broker, { token: alice });
      await pings(it.socket, 10);
      await it.quiet();
    });
    await check('a pong of another payload is life', async () => {
      const it = await connect(broker, { token: alice, autoPong: false });
      it.socket.on('ping', () => it.socket.pong('something else'));
      await pings(it.socket, 10);
      await it.quiet();
    });
    await check('any message is life', async () => {
      const it = await connect(broker, { token: alice, autoPong: false });
      it.socket.on('ping', () => it.send({ type: 'ping' }));
      await pings(it.socket, 10);
      for (let n = 0; n < 10; n += 1) await it.expect('pong');
    });
  });
}

// Resolves after so many pings; rejects if the connection ends first.
function pings(socket, count) {
  return new Promise((resolve, reject) => {
    let seen = 0;
    socket.on('ping', () => {
      seen += 1;
      if (seen === count) resolve();
    });
    socket.on('close', (code) => reject(new Error(`closed with ${code} after ${seen} pings`)));
  });
}
