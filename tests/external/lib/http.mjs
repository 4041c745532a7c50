// HTTP requests to the broker, a connection each, with the body as bytes.

import http from 'node:http';
import https from 'node:https';

import { API_KEY } from './broker.mjs';
import { until } from './checks.mjs';

// Asks; answers `{ status, headers, text, json }`, `json` only when the body is JSON. Over TLS `ca` is
// whom to trust.
export function request(broker, method, path, { body, headers = {}, ca } = {}) {
  return new Promise((resolve, reject) => {
    const by = broker.url.startsWith('https:') ? https : http;
    const outgoing = by.request(broker.url + path, { method, headers, ca, agent: false });
    outgoing.on('error', reject).on('response', async (response) => {
      const chunks = [];
      try {
        for await (const chunk of response) chunks.push(chunk);
      } catch (error) {
        reject(error);
        return;
      }
      const text = Buffer.concat(chunks).toString();
      const isJson = /json/.test(response.headers['content-type'] ?? '');
      resolve({
        status: response.statusCode,
        headers: response.headers,
        text,
        json: isJson ? JSON.parse(text) : undefined,
      });
    });
    outgoing.end(body);
  });
}

export const get = (broker, path, options) => request(broker, 'GET', path, options);

// What the application's back end sends: with its key, an object or JSON text as it is.
export function api(broker, method, path, body, key = API_KEY, more = {}) {
  return request(broker, method, path, {
    ...more,
    body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    headers: {
      ...(key && { Authorization: `Bearer ${key}` }),
      'Content-Type': 'application/json',
    },
  });
}

export const publish = (broker, body) => api(broker, 'POST', '/api/publish', body);

// Waits until the broker has so many connections: those of an earlier check go in their own time,
// and would still be counted.
export const settled = (broker, connections = 0) =>
  until(async () => {
    const { json } = await get(broker, '/ready');
    return json?.websocket?.connections === connections;
  }, `${connections} connections in /ready`);
