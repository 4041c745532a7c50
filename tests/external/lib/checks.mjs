// Named checks: each prints `ok NAME` or `not ok NAME: why`, and the sum ends the program.
//
// A check that hangs is cut, after LIMIT_MS if it names no other time. What it opened is closed
// before the next one begins (see `cleanup`), so that checks can be read one by one.

import { startBroker } from './broker.mjs';

const LIMIT_MS = 15_000;

let passed = 0;
let failed = 0;
let prefix = '';
const afterwards = new Set();

// Registers a function that is called once, when the check under way has ended.
export function cleanup(close) {
  afterwards.add(close);
}

// Runs one check.
export async function check(name, run, limit_ms = LIMIT_MS) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${limit_ms} ms`)), limit_ms);
  });
  try {
    await Promise.race([run(), limit]);
    passed += 1;
    console.log(`ok ${prefix}${name}`);
  } catch (error) {
    fail(name, error);
  }
  clearTimeout(timer);
  for (const close of afterwards) await close();
  afterwards.clear();
}

// A group of checks that share one broker with these settings. Starting and stopping it (with exit
// status 0) are checks in themselves, told of when they fail.
export async function withBroker(name, settings, run) {
  const outer = prefix;
  prefix = `${outer}${name}: `;
  try {
    const broker = await startBroker(settings);
    try {
      await run(broker);
    } finally {
      await broker.stop();
    }
  } catch (error) {
    fail('the broker starts and stops', error);
  }
  prefix = outer;
}

function fail(name, error) {
  failed += 1;
  const why = String(error?.message ?? error).trim().replaceAll('\n', '\n    ');
  console.log(`not ok ${prefix}${name}: ${why}${where(error)}`);
}

// The line of the check at which an error arose.
function where(error) {
  const line = /(\w+\.mjs:\d+):\d+\)?$/m.exec(
    (error?.stack ?? '').split('\n').filter((text) => /^ +at .*external\/(?!lib)/.test(text))[0],
  );
  return line ? ` (${line[1]})` : '';
}

// Prints the sum and ends the program.
export function finish() {
  console.log(`# ${passed} passed, ${failed} failed`);
  process.exit(failed > 0 || passed === 0 ? 1 : 0);
}

// What is not `condition` is a failure with this text.
export function must(condition, text) {
  if (!condition) throw new Error(typeof text === 'function' ? text() : text);
}

// Both are written as JSON in the message, so that a digit or a byte that differs can be seen.
export function same(actual, expected, what = 'value') {
  const [is, ought] = [JSON.stringify(actual), JSON.stringify(expected)];
  must(is === ought, () => `${what} is ${brief(is)}, not ${brief(ought)}`);
}

const brief = (text) => (text?.length > 300 ? `${text.slice(0, 300)}… (${text.length})` : text);

// Asks again until `ask` answers something true: for what follows in its own time, never for what
// the protocol promises at once. Gives up a little before the check would be cut.
export async function until(ask, what) {
  const end = Date.now() + LIMIT_MS / 2;
  for (let delay_ms = 1; ; delay_ms = Math.min(delay_ms * 2, 100)) {
    const answer = await ask();
    if (answer) return answer;
    must(Date.now() < end, () => `never came about: ${typeof what === 'function' ? what() : what}`);
    await new Promise((resolve) => setTimeout(resolve, delay_ms));
  }
}
