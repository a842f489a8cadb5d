import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { startSimulator, type Simulator } from './server.ts';

const run = promisify(execFile);

let dir: string;
let simulator: Simulator;

beforeAll(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'gitlab-simulator-tls-'));
  const [certFile, keyFile] = [path.join(dir, 'cert.pem'), path.join(dir, 'key.pem')];
  await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1', '-subj', '/CN=simulator', '-addext', 'subjectAltName=IP:127.0.0.1', '-out', certFile, '-keyout', keyFile]);
  simulator = await startSimulator({ port: 0, dir: path.join(dir, 'instance'), tls: { certFile, keyFile } });
});

afterAll(async () => {
  await simulator.stop();
  await rm(dir, { recursive: true, force: true });
});

test('over HTTPS only those get in who know its certificate authority', async () => {
  const url = `${simulator.url.replace('//', `//x:${simulator.token}@`)}/root/none.git`;
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent', GIT_TERMINAL_PROMPT: '0' };
  await expect(run('git', ['ls-remote', url], { env })).rejects.toMatchObject({ stderr: expect.stringMatching(/certificate/) });
  await expect(run('git', ['-c', `http.sslCAInfo=${path.join(dir, 'cert.pem')}`, 'ls-remote', url], { env })).rejects.toMatchObject({ stderr: expect.stringMatching(/not found/) });
  expect(simulator.url).toMatch(/^https:/);
});
