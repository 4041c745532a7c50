// Where the programs and packages of these tests are: the broker's binary and the npm packages.
//
// The packages lie in tests/.cache, outside of what an `import` would look through.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

export const root = fileURLToPath(new URL('../../../', import.meta.url));

// The broker under test; SHARDWIRE_BIN names another.
export const binary = process.env.SHARDWIRE_BIN ?? path.join(root, 'target/release/shardwire');

const require = createRequire(path.join(root, 'tests/.cache/node/package.json'));

// The npm `ws` client.
export const WebSocket = () => require('ws');

// playwright-core's remote control of a Chromium.
export const chromium = () => require('playwright-core').chromium;

// A package of npm under the name that install/npm/package.json gives it, and one of its files.
export const npm = (name) => require(name);
export const npmFile = (name) =>
  readFileSync(path.join(root, 'tests/.cache/node/node_modules', name), 'utf8');
