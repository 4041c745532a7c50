// Schemathesis against the HTTP API: requests made from /api/openapi.json, good and bad ones, and
// every answer held to it (protocols.md sections 7 and 11).
//
//     node run.mjs ST FOLDER
//
// ST is the program, FOLDER where its report goes. Meanwhile clients come and go, so that there is
// somebody to tell of: user 42, once of tenant acme and once of none, in the topic that the
// description has as its example.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { API_KEY } from '../lib/broker.mjs';
import { check, finish, must, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { publish } from '../lib/http.mjs';
import { token } from '../lib/tokens.mjs';

const [program, folder] = process.argv.slice(2);
const TOPIC = 'room.7.messages';
const EXAMPLES = 50;
const SEED = 1;

const settings = {
  // A message that long would only keep the tester busy.
  websocket: { max_message_bytes: 65_536 },
  history: [{ topic: 'room.*.**', size: 100, ttl_s: 3600 }],
};

// A client of user 42 until the end, in again as often as it is disconnected.
async function visit(broker, over, ...claims) {
  const pass = await token('42', ...claims);
  const end = once(over, 'abort');
  while (!over.aborted) {
    try {
      const client = await connect(broker, { token: pass });
      await client.subscribe(TOPIC, 'room.**');
      await Promise.race([client.closed, end]);
      if (over.aborted) await client.close();
    } catch {
      // Disconnected in the midst of it, most likely.
      await sleep(10);
    }
  }
}

// The cases of a JUnit report: `{ name, failure }`, `failure` its text where it has one.
function cases(report) {
  const unescape = (text) =>
    text.replace(/&(lt|gt|quot|apos|amp|#10);/g, (_, name) => ({ lt: '<', gt: '>', quot: '"', apos: "'", amp: '&', '#10': '\n' })[name]);
  return [...report.matchAll(/<testcase\b([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)].map(([, attributes, body = '']) => ({
    name: unescape(/\bname="([^"]*)"/.exec(attributes)[1]),
    failure: /<(failure|error)\b/.test(body) ? unescape(body.replace(/<[^>]*>/g, '')) || unescape(body) : undefined,
  }));
}

await withBroker('schemathesis', settings, async (broker) => {
  const over = new AbortController();
  const visits = [visit(broker, over.signal, '--tenant', 'acme'), visit(broker, over.signal)];
  for (let n = 0; n < 5; n += 1) await publish(broker, { topic: TOPIC, data: n });

  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, 'junit.xml');
  const tester = spawn(
    program,
    [
      ...['run', `${broker.url}/api/openapi.json`, '--header', `Authorization: Bearer ${API_KEY}`],
      ...['--checks', 'all', '--max-examples', String(EXAMPLES), '--seed', String(SEED)],
      ...['--generation-database', 'none', '--no-color', '--continue-on-failure'],
      ...['--report', 'junit', '--report-junit-path', file],
    ],
    { stdio: 'inherit', cwd: folder },
  );
  process.on('exit', () => tester.kill('SIGTERM'));
  const [status] = await once(tester, 'close');
  over.abort();
  await Promise.all(visits);

  const found = cases(readFileSync(file, 'utf8'));
  for (const { name, failure } of found) {
    await check(name, async () => must(failure === undefined, failure));
  }
  await check('every operation was tested, and nothing else was found', async () => {
    must(status === 0, `status ${status}`);
    must(found.length > 0, 'no operation');
  });
});
finish();
