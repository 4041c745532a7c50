// Pages with the client code of two Socket.IO systems that the broker replaces, as their documents
// print it (documents/): not a character of it is changed but the address and the token in it. What
// is TypeScript is compiled as its page would have been. Around it stands what the code takes for
// granted: React, the hook and the names that it imports, and functions that show what comes.

import { readFileSync } from 'node:fs';

import { must } from '../lib/checks.mjs';
import { npm, npmFile } from '../lib/packages.mjs';

const document = (name) => readFileSync(new URL(`./documents/${name}`, import.meta.url), 'utf8');

// A text with other values: what stood there once must be gone, and nothing else.
function swapped(text, pairs) {
  return Object.entries(pairs).reduce((rest, [documented, own]) => {
    const parts = rest.split(documented);
    must(parts.length === 2, `${parts.length - 1} times ${documented}`);
    return parts.join(own);
  }, text);
}

// TypeScript, with JSX, as a script for browsers.
function compiled(text) {
  const { transpileModule, ModuleKind, ScriptTarget, JsxEmit } = npm('typescript');
  const compilerOptions = { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022, jsx: JsxEmit.React };
  return transpileModule(text, { compilerOptions }).outputText;
}

// The names of the documented system's types package.
const TYPES = `
const names = (...all) => Object.fromEntries(all.map((name) => [name.toUpperCase(), name]));
const WebSocketEvent = names('join_room', 'leave_room', 'message', 'typing_start', 'typing_stop', 'presence_update',
  'ping', 'room_joined', 'room_left', 'room_error', 'error', 'pong');
const MessageType = names('text', 'image', 'file', 'system');
const PresenceStatus = names('online', 'away', 'busy', 'offline');`;

// The hook that the documented component calls: what it is given and answers stands in its document.
const HOOK = `
const { useEffect, useMemo, useState } = React;
function useWebSocket({ token, autoConnect, onConnect, onDisconnect, onError }) {
  const [isConnected, setConnected] = useState(false);
  const socket = useMemo(() => (globalThis.socket = io(URL_OF_BROKER, { auth: { token }, autoConnect: false })), [token]);
  useEffect(() => {
    socket.on('connect', () => (setConnected(true), onConnect?.()));
    socket.on('disconnect', (reason) => (setConnected(false), onDisconnect?.(reason)));
    socket.on('error', (error) => onError?.(error));
    if (autoConnect) socket.connect();
    return () => socket.disconnect();
  }, [socket]);
  const ask = (name) => (given) => new Promise((resolve) => socket.emit(name, given, resolve));
  const emit = (name) => (given) => socket.emit(name, given);
  const same = useMemo(() => ({
    joinRoom: ask('join_room'), leaveRoom: ask('leave_room'), sendMessage: emit('message'),
    startTyping: emit('typing_start'), stopTyping: emit('typing_stop'),
    on: (...given) => socket.on(...given), off: (...given) => socket.off(...given),
  }), [socket]);
  return { isConnected, ...same };
}
const require = (name) => ({ '@/hooks/useWebSocket': { useWebSocket }, '@repo/types': { WebSocketEvent, MessageType } })[name];
const exports = {};`;

const SHOW = `
function show(by, given) {
  const item = document.createElement('li');
  item.className = by;
  item.textContent = JSON.stringify(given);
  document.querySelector('ul').append(item);
}`;

const html = (scripts) => `<!doctype html>
<meta charset="utf-8"><title>client</title><ul></ul><main></main>
${scripts.map((script) => `<script>\n${script.replaceAll('</script', '<\\/script')}\n</script>`).join('\n')}
`;

// The browser build of the newest client, and a page for the tests' own code.
export const BUILD = 'socket.io-client/dist/socket.io.js';
export const clientPage = () => html([npmFile(BUILD), SHOW]);

// The chat component of the room server's document, mounted in a page.
export const chatPage = (broker, token) =>
  html([
    npmFile('react/umd/react.development.js'),
    npmFile('react-dom/umd/react-dom.development.js'),
    npmFile(BUILD),
    `const URL_OF_BROKER = ${JSON.stringify(broker.url)};${TYPES}${HOOK}
${compiled(swapped(document('chat.tsx'), { 'your-auth-token': token }))}
ReactDOM.createRoot(document.querySelector('main')).render(React.createElement(ChatComponent));`,
  ]);

// Its list of events: the handlers first, then everything that a client emits.
export const eventsPage = (broker, token) =>
  html([
    npmFile(BUILD),
    SHOW,
    `${TYPES}
const connection = io(${JSON.stringify(broker.url)}, { auth: { token: ${JSON.stringify(token)} } });
const socket = {
  emit: (...given) => connection.emit(...given),
  on: (name, run) => connection.on(name, (...given) => { show(name, given); run(...given); }),
};
${compiled(document('heard.ts'))}
${compiled(document('emitted.ts'))}`,
  ]);

// The notification gateway's client; what it does with it is the page's.
export const notificationsPage = (broker, token) =>
  html([
    npmFile(BUILD),
    SHOW,
    `${swapped(document('notifications.js'), { 'ws://localhost:3000': broker.ws(''), 'your-jwt-token': token })}
for (const name of ['NEW_NOTIFICATION', 'ERROR', 'TEST_NOTIFICATION', 'disconnect']) socket.on(name, (...given) => show(name, given));
socket.emit('SUBSCRIBE_NOTIFICATIONS', (answer) => show('subscribed', [answer]));`,
  ]);
