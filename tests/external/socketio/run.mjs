// What users of stock socket.io-clients see of the broker: every session with each version over each
// of its transports, then what depends on settings, then pages in Chromium.
//
//     node run.mjs [PART…]     clients recovery settings chromium

import { finish, withBroker } from '../lib/checks.mjs';
import binary from './binary.mjs';
import { KINDS } from './clients.mjs';
import doors, { older } from './doors.mjs';
import dropping, { restarted } from './dropping.mjs';
import errors, { limited } from './errors.mjs';
import gateway from './gateway.mjs';
import privately from './private.mjs';
import recovery from './recovery.mjs';
import rooms from './rooms.mjs';
import settings from './settings.mjs';

// With it on every event carries one more argument: nothing else may be different. A client that
// was cut between two polls is missed by the heartbeat alone.
const RECOVERING = { socketio: { recovery_ms: 120_000, ping_interval_ms: 1_000, ping_timeout_ms: 1_000 } };

const PARTS = {
  async clients() {
    for (const kind of KINDS) {
      await withBroker(kind.name, {}, async (broker) => {
        for (const session of [doors, rooms, binary, privately, errors, gateway, dropping]) await session(broker, kind);
      });
      await restarted(kind);
    }
    await withBroker('older', {}, older);
  },
  async recovery() {
    for (const kind of KINDS) {
      await withBroker(`${kind.name}, recovery`, RECOVERING, async (broker) => {
        for (const session of [recovery, rooms, binary, gateway]) await session(broker, kind);
      });
    }
  },
  async settings() {
    await limited();
    await settings();
  },
  async chromium() {
    const { default: pages } = await import('./pages.mjs');
    await pages();
  },
};

const chosen = process.argv.slice(2);
for (const part of chosen.length > 0 ? chosen : Object.keys(PARTS)) await PARTS[part]();
finish();
