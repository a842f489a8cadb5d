#!/usr/bin/env node
// Tries the simulator with clients that others wrote: python-gitlab, plain git, the Standard Webhooks library.
// usage: node tests/interop/run.mjs        after `npm run build`; needs python3 with venv, pip's index, and git
// SIMULATOR=<main.js> tries another build. Ends with "N passed, N failed", and with 1 if any failed.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const PYTHON_GITLAB = 'python-gitlab==8.6.0';
const START_MS_MAX = 15_000;
const here = path.dirname(fileURLToPath(import.meta.url));
const program = process.env.SIMULATOR ?? path.join(here, '../../dist/infra/gitlab-simulator/main.js');
const counts = { passed: 0, failed: 0 };

/** Runs a program; its lines "ok - …" and "not ok - …" are counted, and an end by error without any is a failure too. */
function runChecks(command, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
    const before = counts.failed;
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('ok - ')) counts.passed += 1;
      if (line.startsWith('not ok - ')) counts.failed += 1;
      console.log(line);
    });
    child.on('error', (error) => fail(`${command}: ${error.message}`));
    child.on('close', (code) => {
      if (code !== 0 && counts.failed === before) fail(`${path.basename(args.at(0) ?? command)} ended with ${code}`);
      resolve(code);
    });
  });
}

function fail(text) {
  counts.failed += 1;
  console.log(`not ok - ${text}`);
}

async function startSimulator(dir) {
  const child = spawn(process.execPath, [program, '--dir', path.join(dir, 'instance')], { stdio: ['ignore', 'pipe', 'inherit'] });
  const line = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the simulator did not say where it listens in ${START_MS_MAX} ms`)), START_MS_MAX);
    createInterface({ input: child.stdout }).once('line', (text) => {
      clearTimeout(timer);
      resolve(text);
    });
    child.once('exit', (code) => reject(new Error(`the simulator ended with ${code} before it listened`)));
  });
  child.removeAllListeners('exit');
  const ended = new Promise((resolve) => child.once('exit', resolve));
  return { ...JSON.parse(line), stop: () => (child.kill('SIGTERM'), ended) };
}

async function makeVenv(dir) {
  const venv = path.join(dir, 'venv');
  if ((await runChecks('python3', ['-m', 'venv', venv])) !== 0) return null;
  const python = path.join(venv, 'bin', 'python');
  const code = await runChecks(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', PYTHON_GITLAB]);
  return code === 0 ? python : null;
}

async function main() {
  if (!existsSync(program)) throw new Error(`${program} is not there; run "npm run build" first`);
  const dir = await mkdtemp(path.join(os.tmpdir(), 'interop-'));
  const simulator = await startSimulator(dir);
  const env = { SIMULATOR_URL: simulator.url, SIMULATOR_TOKEN: simulator.token, SIMULATOR_ADMIN_TOKEN: simulator.adminToken };
  try {
    const python = await makeVenv(dir);
    if (python !== null) await runChecks(python, [path.join(here, 'python-gitlab.py')], env);
    await runChecks(process.execPath, [path.join(here, 'standard-webhooks.mjs')], env);
  } finally {
    const code = await simulator.stop();
    if (code !== 0) fail(`the simulator ended with ${code} upon SIGTERM`);
    await rm(dir, { recursive: true, force: true });
  }
}

await main().catch((error) => fail(error.message));
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;
