// The simulator's signature, judged by the Standard Webhooks library of others. Started by run.mjs, which counts the lines.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Webhook } from 'standardwebhooks';

const { SIMULATOR_URL: url, SIMULATOR_TOKEN: token } = process.env;
const HOOK_WAIT_MS = 15_000;
const signingToken = `whsec_${randomBytes(32).toString('base64')}`;

function check(name, holds) {
  if (!holds) process.exitCode = 1;
  console.log(`${holds ? 'ok' : 'not ok'} - ${name}`);
}

async function api(method, path, body) {
  const response = await fetch(`${url}/api/v4${path}`, { method, headers: { 'PRIVATE-TOKEN': token, 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${method} ${path} gave ${response.status}: ${await response.text()}`);
  return response.json();
}

/** The first request that comes in, as its raw bytes. */
function receiveOne() {
  let server;
  const received = new Promise((resolve, reject) => {
    server = http.createServer((request, response) => {
      const chunks = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        response.end();
        resolve({ headers: request.headers, body: Buffer.concat(chunks).toString('utf8') });
      });
    });
    setTimeout(() => reject(new Error('no hook came')), HOOK_WAIT_MS).unref();
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve({ port: server.address().port, received, close: () => server.close() })));
}

function accepts(key, headers, body) {
  try {
    new Webhook(key).verify(body, headers);
    return true;
  } catch {
    return false;
  }
}

async function checkSimulatorsSignature() {
  const receiver = await receiveOne();
  const project = await api('POST', '/projects', { name: `signed <&> ü ${randomBytes(4).toString('hex')}`, path: `signed-${randomBytes(4).toString('hex')}`, initialize_with_readme: true });
  const hook = await api('POST', `/projects/${project.id}/hooks`, { url: `http://127.0.0.1:${receiver.port}/`, signing_token: signingToken });
  check('the hook says that it signs', hook.signing_token_present === true);
  await api('POST', `/projects/${project.id}/repository/branches`, { branch: 'signed', ref: 'main' });
  const { headers, body } = await receiver.received;
  receiver.close();
  check('standardwebhooks accepts the simulator\'s signature', accepts(signingToken, headers, body));
  check('it refuses a changed body', !accepts(signingToken, headers, body.replace('push', 'pull')));
  check('it refuses another key', !accepts(`whsec_${randomBytes(32).toString('base64')}`, headers, body));
  check('it refuses another id', !accepts(signingToken, { ...headers, 'webhook-id': 'other' }, body));
}

/** An engine of its own on embedded defaults, with a source whose signing token we know. */
async function startEngine() {
  const stateDir = mkdtempSync(path.join(tmpdir(), 'tekai-interop-'));
  const [port, internalPort] = [await freePort(), await freePort()];
  const engine = spawn(process.execPath, [new URL('../../dist/services/main.js', import.meta.url).pathname, 'up'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { PATH: process.env.PATH, TEKAI_STATE_DIR: stateDir, TEKAI_PORT: String(port), TEKAI_INTERNAL_PORT: String(internalPort), TEKAI_LOG_LEVEL: 'warn', TEKAI_ALLOW_ADDRESSES: '127.0.0.0/8,::1/128' },
  });
  const base = `http://127.0.0.1:${port}`;
  for (let tries = 0; !(await fetch(`${base}/readyz`).catch(() => undefined))?.ok; tries += 1) {
    if (tries > 300 || engine.exitCode !== null) throw new Error('the engine did not come up');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const access = readFileSync(path.join(stateDir, 'access-token'), 'utf8').trim();
  const response = await fetch(`${base}/v1/sources`, {
    method: 'POST', headers: { authorization: `Bearer ${access}`, 'content-type': 'application/json', 'idempotency-key': randomBytes(8).toString('hex') },
    body: JSON.stringify({ baseUrl: url, token, signingToken }),
  });
  const { webhookUrl } = await response.json();
  return { webhookUrl, async stop() { engine.kill('SIGTERM'); await once(engine, 'exit'); rmSync(stateDir, { recursive: true, force: true }); } };
}

async function freePort() {
  const server = http.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function checkIngressAcceptsTheLibrarysSignature() {
  const engine = await startEngine();
  try {
    const body = JSON.stringify({ object_kind: 'push', project_id: 1, ref: 'refs/heads/main', note: '<&> ü \u2028' });
    const post = async ({ key = signingToken, id = `msg_${randomBytes(8).toString('hex')}`, sentId = id, at = new Date(), sent = body }) => {
      const signature = new Webhook(key).sign(id, at, body);
      const headers = { 'content-type': 'application/json', 'webhook-id': sentId, 'webhook-timestamp': String(Math.floor(at.getTime() / 1000)), 'webhook-signature': signature };
      return (await fetch(engine.webhookUrl, { method: 'POST', headers, body: sent })).status;
    };
    check('ingress accepts the library\'s signature', (await post({})) === 202);
    check('ingress knows the same message again', (await post({ id: 'msg_twice' })) === 202 && (await post({ id: 'msg_twice' })) === 200);
    check('ingress refuses another key', (await post({ key: `whsec_${randomBytes(32).toString('base64')}` })) === 401);
    check('ingress refuses another id', (await post({ sentId: 'msg_other' })) === 401);
    check('ingress refuses a changed body', (await post({ sent: body.replace('push', 'pull') })) === 401);
    check('ingress refuses an old timestamp', (await post({ at: new Date(Date.now() - 301_000) })) === 401);
    check('ingress takes one of 299 s', (await post({ at: new Date(Date.now() - 299_000) })) === 202);
  } finally {
    await engine.stop();
  }
}

await checkSimulatorsSignature();
await checkIngressAcceptsTheLibrarysSignature();
