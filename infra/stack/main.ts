import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startStack, type Stack } from './stack.ts';

// `up` begins a stack in the background and says what runs where; `down` ends it. Between them stands `run`, a process of its own
// that holds all others: they are in its group, so that they can be ended also when it was killed.

const FOLDER = path.resolve('.tekai-stack');
const READY_FILE = path.join(FOLDER, 'stack.json');
const PID_FILE = path.join(FOLDER, 'stack.pid');
const LOG_FILE = path.join(FOLDER, 'stack.log');
const PORT = 18_080;
/** Fourteen services are told at once, and hand back what they have. */
const DOWN_MS_MAX = 90_000;
const LOOK_EVERY_MS = 200;

const say = (text: string) => void process.stderr.write(`${text}\n`);

async function main(): Promise<number> {
  const { values, positionals: [word] } = parseArgs({ allowPositionals: true, options: { port: { type: 'string', default: String(PORT) } } });
  switch (word) {
    case 'up': return up(Number(values.port));
    case 'run': return run(Number(values.port));
    case 'down': return down();
    default: say('usage: stack up|down [--port N]'); return 78;
  }
}

async function up(port: number): Promise<number> {
  if (isAlive(await pidOfRun())) { say(`A stack runs already (${FOLDER}): end it with make stack-down.`); return 1; }
  // It begins empty: S3Proxy and Redis keep all in memory, and what names their contents must not outlive them.
  await rm(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const log = openSync(LOG_FILE, 'a');
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1] ?? '', 'run', '--port', String(port)], { detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  await writeFile(PID_FILE, String(child.pid));
  say('Starting the stack; the first time on a machine it fetches Kafka and S3Proxy …');
  const ended = once(child, 'exit').then(() => undefined);
  const ready = await Promise.race([untilReady(child.pid), ended]);
  if (ready === undefined) { say(`It did not start:\n${await readFile(LOG_FILE, 'utf8')}`); return 1; }
  process.stdout.write(ready);
  child.unref();
  return 0;
}

async function untilReady(pid: number | undefined): Promise<string | undefined> {
  while (isAlive(pid)) {
    const text = await readFile(READY_FILE, 'utf8').catch(() => undefined);
    if (text !== undefined) return (JSON.parse(text) as { words: string }).words;
    await sleep(LOOK_EVERY_MS);
  }
  return undefined;
}

async function run(port: number): Promise<number> {
  const told = Promise.race((['SIGTERM', 'SIGINT'] as const).map((signal) => once(process, signal)));
  const began = performance.now();
  const stack = await startStack({ directory: FOLDER, port, eventstoreUrl: process.env['EVENTSTORE_URL'] || undefined, note: say });
  const words = inWords(stack, performance.now() - began);
  // Named last, and whole: whoever waits for it reads all of it.
  await writeFile(READY_FILE, JSON.stringify({ url: stack.url, stateDir: stack.stateDir, settings: stack.settings, words }));
  await told;
  say('ending');
  await stack.stop();
  return 0;
}

async function down(): Promise<number> {
  const pid = await pidOfRun();
  if (pid === undefined) { say('No stack runs here.'); return 0; }
  if (isAlive(pid)) process.kill(pid, 'SIGTERM');
  for (const end = performance.now() + DOWN_MS_MAX; isAlive(pid) && performance.now() < end;) await sleep(LOOK_EVERY_MS);
  // What it held, when it was killed or does not end.
  if (isAlive(-pid)) process.kill(-pid, 'SIGKILL');
  await rm(PID_FILE, { force: true });
  await rm(READY_FILE, { force: true });
  say(`The stack has ended. Logs stay in ${path.join(FOLDER, 'logs')}.`);
  return 0;
}

async function pidOfRun(): Promise<number | undefined> {
  const text = await readFile(PID_FILE, 'utf8').catch(() => '');
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

/** A process, or by a negative number a group. */
function isAlive(pid: number | undefined): boolean {
  try {
    return pid !== undefined && process.kill(pid, 0);
  } catch {
    return false;
  }
}

function inWords({ url, stateDir, engines, services }: Stack, ms: number): string {
  const line = (name: string, where: string, pid: number | undefined) => `  ${name.padEnd(20)} ${where.padEnd(34)} ${pid ?? ''}`;
  return [
    `The stack is ready after ${(ms / 1_000).toFixed(1)} s: ${services.length} services, each a process of its own.`, '',
    line('what', 'where', undefined).trimEnd() + ' process',
    ...Object.values(engines).flatMap((one) => (one === undefined ? [] : [line(one.name, one.url.replace(/\/\/.*@/, '//'), one.child.pid)])),
    ...services.map((one) => line(one.label, `${one.url} ${one.internalUrl}`, one.child?.pid)), '',
    `Everything is asked at ${url}`,
    `  node dist/services/main.js --url ${url} --token-file ${path.relative('.', path.join(stateDir, 'access-token'))} status`,
    `Logs: ${path.relative('.', path.join(FOLDER, 'logs'))}. It ends with make stack-down.`, '',
  ].join('\n');
}

process.exitCode = await main().catch((error: unknown) => {
  say(error instanceof Error ? error.message : String(error));
  return 1;
});
