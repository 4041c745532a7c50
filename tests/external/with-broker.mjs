// Runs a command against a fresh broker: for tests that are not written in JavaScript.
//
//     node with-broker.mjs CONFIG.toml COMMAND ARGUMENT…
//
// The command finds SHARDWIRE_URL (http://HOST:PORT), SHARDWIRE_PID, SHARDWIRE_BIN and JWT_SECRET in
// its environment. The status is the command's, or 1 when the broker did not start or end well.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { SECRET, startWithFile } from './lib/broker.mjs';
import { binary } from './lib/packages.mjs';

const [file, command, ...args] = process.argv.slice(2);

let broker;
try {
  broker = await startWithFile(file);
} catch (error) {
  console.log(`not ok the broker starts: ${error.message}`);
  process.exit(1);
}

const child = spawn(command, args, {
  stdio: 'inherit',
  env: {
    ...process.env,
    SHARDWIRE_URL: broker.url,
    SHARDWIRE_PID: String(broker.pid),
    SHARDWIRE_BIN: binary,
    JWT_SECRET: SECRET,
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
