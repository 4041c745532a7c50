// Schemathesis against the HTTP API: requests made from /api/openapi.json, good and bad ones, and
// every answer held to it (protocols.md sections 7 and 11).
//
//     node run.mjs ST FOLDER
//
// ST is the program, FOLDER where its reports go. Meanwhile clients come and go, so that there is
// somebody to tell of: user 42, once of tenant acme and once of none, in the topic and the channel
// that the description has as examples. Every operation must have answered with success, and at
// least once with something in it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';

import { API_KEY } from '../lib/broker.mjs';
import { check, finish, must, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { api, publish } from '../lib/http.mjs';
import { token } from '../lib/tokens.mjs';

const [program, folder] = process.argv.slice(2);
const HOOKS = fileURLToPath(new URL('hooks.py', import.meta.url));
const TOPIC = 'room.7.messages';
const CHANNEL = 'tenant:acme:general';
const SHARDS = 2;
const EXAMPLES = 50;
const SEED = 1;

const settings = {
  server: { shards: SHARDS },
  // A message that long would only keep the tester busy.
  websocket: { max_message_bytes: 65_536 },
  history: [{ topic: 'room.*.**', size: 100, ttl_s: 3600 }],
};

// A client of user 42 until the end, in again as often as it is disconnected; it sends `requests`
// and takes whatever comes.
async function visit(broker, over, path, requests, ...claims) {
  const pass = await token('42', ...claims);
  const end = once(over, 'abort');
  while (!over.aborted) {
    try {
      const client = await connect(broker, { path, token: pass });
      for (const request of requests) client.send(request);
      await Promise.race([client.closed, end]);
      if (over.aborted) await client.close();
    } catch {
      // Disconnected before it was in.
      await sleep(10);
    }
  }
}

// What hooks.py wrote down: by operation, `{ calls, good, full }`, how many there were, how many of
// them were answered with success, and how many of these with something to tell.
function tally(calls) {
  const operations = new Map();
  for (const line of calls.trim().split('\n')) {
    const [name, status, content] = line.split('\t');
    const counts = operations.get(name) ?? { calls: 0, good: 0, full: 0 };
    const good = status.startsWith('2') && content !== 'other method';
    counts.calls += 1;
    counts.good += good;
    counts.full += good && content === 'full';
    operations.set(name, counts);
  }
  return operations;
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
  const subscribe = { type: 'subscribe', topics: [TOPIC, 'room.**'] };
  const join = { type: 'join_channel', data: { channel: CHANNEL } };
  const visits = [
    visit(broker, over.signal, '/ws', [subscribe], '--tenant', 'acme'),
    visit(broker, over.signal, '/ws', [subscribe]),
    visit(broker, over.signal, '/channels', [join], '--tenant', 'acme'),
  ];
  for (let n = 0; n < 5; n += 1) await publish(broker, { topic: TOPIC, data: n });

  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const place = (name) => path.join(folder, name);
  const [report, calls, file] = ['junit.xml', 'calls.tsv', 'openapi.json'].map(place);
  const { json: description, text } = await api(broker, 'GET', '/api/openapi.json');
  // From a file, for the route that a description comes from would not be tested.
  writeFileSync(file, text);
  const tester = spawn(
    program,
    [
      ...['run', file, '--url', broker.url, '--header', `Authorization: Bearer ${API_KEY}`],
      ...['--checks', 'all', '--max-examples', String(EXAMPLES), '--seed', String(SEED)],
      ...['--generation-database', 'none', '--no-color', '--continue-on-failure'],
      ...['--report', 'junit', '--report-junit-path', report],
    ],
    {
      stdio: 'inherit',
      cwd: folder,
      env: { ...process.env, SCHEMATHESIS_HOOKS: HOOKS, SHARDS: String(SHARDS), CALLS: calls },
    },
  );
  process.on('exit', () => tester.kill('SIGTERM'));
  const [status] = await once(tester, 'close');
  over.abort();
  await Promise.all(visits);

  for (const { name, failure } of cases(readFileSync(report, 'utf8'))) {
    await check(name, async () => must(failure === undefined, failure));
  }
  await check('nothing else was found', async () => must(status === 0, `status ${status}`));

  const operations = Object.entries(description.paths).flatMap(([route, item]) =>
    Object.keys(item)
      .filter((method) => method !== 'parameters')
      .map((method) => `${method.toUpperCase()} ${route}`),
  );
  const tested = tally(readFileSync(calls, 'utf8'));
  for (const name of operations) {
    await check(`${name} was answered with success, and with something in it`, async () => {
      const counts = tested.get(name);
      must(counts?.full > 0, `of its requests: ${JSON.stringify(counts ?? 'none')}`);
    });
  }
  const sum = (key) => [...tested.values()].reduce((all, counts) => all + counts[key], 0);
  console.log(
    `= ${operations.length} operations, ${sum('calls')} test cases, ` +
      `${sum('good')} answered with success, ${sum('full')} of these with something in it`,
  );
});
finish();
