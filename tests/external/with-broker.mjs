// Runs a command against a fresh broker: for tests that are not written in JavaScript.
//
//     node with-broker.mjs [--relay] CONFIG.toml COMMAND ARGUMENT…
//
// The command finds SHARDWIRE_URL (http://HOST:PORT), SHARDWIRE_PID, SHARDWIRE_BIN and JWT_SECRET in
// its environment; with --relay also SHARDWIRE_RELAY, another address of the broker, and
// SHARDWIRE_CUT: a GET of that cuts all that goes by the relay, and is answered when nothing has got
// through for AWAY_MS. The status is the command's, or 1 when the broker did not start or end well.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

import http from 'node:http';

import { API_KEY, SECRET, startWithFile } from './lib/broker.mjs';
import { binary } from './lib/packages.mjs';
import { relay } from './lib/relay.mjs';

const AWAY_MS = 500;

const words = process.argv.slice(2);
const relayed = words[0] === '--relay' && words.shift();
const [file, command, ...args] = words;

let broker;
try {
  broker = await startWithFile(file);
} catch (error) {
  console.log(`not ok the broker starts: ${error.message}`);
  process.exit(1);
}

// The addresses of a relay and of what cuts it.
async function relaying() {
  const way = await relay(broker);
  const knife = http.createServer((request, response) => {
    way.cut();
    setTimeout(() => {
      way.reopen();
      response.end();
    }, AWAY_MS);
  });
  knife.listen(0, '127.0.0.1');
  await once(knife, 'listening');
  return { SHARDWIRE_RELAY: way.url, SHARDWIRE_CUT: `http://127.0.0.1:${knife.address().port}/` };
}

const child = spawn(command, args, {
  stdio: 'inherit',
  env: {
    ...process.env,
    SHARDWIRE_URL: broker.url,
    SHARDWIRE_PID: String(broker.pid),
    SHARDWIRE_BIN: binary,
    JWT_SECRET: SECRET,
    SHARDWIRE_API_KEY: API_KEY,
    ...(relayed && (await relaying())),
  },
});
process.on('exit', () => child.kill('SIGTERM'));
const [code] = await once(child, 'close');

try {
  await broker.stop();
} catch (error) {
  console.log(`not ok the broker stops: ${error.message}`);
  process.exit(1);
}
process.exit(code ?? 1);
