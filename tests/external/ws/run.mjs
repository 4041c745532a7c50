// What a user of npm `ws` sees of the broker: a file a subject, each with brokers of its own.
//
//     node run.mjs [SUBJECT…]

import { finish } from '../lib/checks.mjs';

const SUBJECTS = [
  'auth',
  'identity',
  'expiry',
  'subscriptions',
  'patterns',
  'publishing',
  'payload',
  'errors',
  'rules',
  'webhook',
  'events',
  'channels',
  'tenants',
  'admin',
  'crossing',
  'frames',
  'heartbeat',
  'limits',
  'slow',
  'deflate',
  'doors',
  'tls',
  'api',
  'addressed',
  'operations',
  'reload',
  'shutdown',
  'shards',
];

const chosen = process.argv.slice(2);
for (const subject of chosen.length > 0 ? chosen : SUBJECTS) {
  const { default: run } = await import(`./${subject}.mjs`);
  await run();
}
finish();
