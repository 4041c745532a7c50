// Tokens: what the broker's own `token` command mints, and forgeries that it would not.

import { createHmac } from 'node:crypto';

import { SECRET, shardwire } from './broker.mjs';

const minted = new Map();

// A token for this user from `shardwire token`, with its further flags (`--role`, `admin`…). Each
// kind is minted once.
export function token(user, ...flags) {
  const key = [user, ...flags].join('\0');
  if (!minted.has(key)) minted.set(key, shardwire('token', '--sub', user, ...flags));
  return minted.get(key);
}

// One that must not be reused: its time runs from now.
export const shortToken = (user, ttl) => shardwire('token', '--sub', user, '--ttl', ttl);

const base64url = (text) => Buffer.from(text).toString('base64url');

// Signs claims that are given as JSON text (so that a number keeps its digits) or as an object.
export function forge(claims, { secret = SECRET, header = { alg: 'HS256', typ: 'JWT' } } = {}) {
  const text = typeof claims === 'string' ? claims : JSON.stringify(claims);
  const signed = `${base64url(JSON.stringify(header))}.${base64url(text)}`;
  const hash = { HS384: 'sha384', HS512: 'sha512' }[header.alg] ?? 'sha256';
  const signature = createHmac(hash, secret).update(signed).digest('base64url');
  return `${signed}.${header.alg === 'none' ? '' : signature}`;
}

// Seconds since 1970, this many from now.
export const inSeconds = (seconds) => Math.floor(Date.now() / 1000) + seconds;
