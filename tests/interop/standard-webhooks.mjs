// The simulator's signature, judged by the Standard Webhooks library of others. Started by run.mjs, which counts the lines.
import http from 'node:http';
import { randomBytes } from 'node:crypto';

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

// The other direction goes here: sign with `new Webhook(signingToken).sign(id, date, body)`, post to the engine's ingress
// (ENGINE_HOOK_URL from run.mjs), and check 2xx for the right key and 401 for a wrong key, id, body or old timestamp.
async function checkIngressAcceptsTheLibrarysSignature() {}

await checkSimulatorsSignature();
await checkIngressAcceptsTheLibrarysSignature();
