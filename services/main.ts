#!/usr/bin/env node
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createLogger, type Logger } from '#shared/runtime/logger.ts';
import { openTracing } from '#shared/runtime/open-tracing.ts';
import { parseSettings, WrongSettings, type Settings } from '#shared/runtime/settings.ts';
import { StartRefused } from '#shared/runtime/start-waits.ts';
import { runCli, type MigrateBlobsRequest, type ReplayMode, type SecretsRequest, type TopicsRequest, type VerifyRequest } from './cli/cli.ts';
import type { ServiceName } from './composition.ts';

/** sysexits.h: configuration. Supervisors do not restart on it. */
const EXIT_CONFIG = 78;
const EXIT_FAILED = 1;

const packageRoot = new URL(import.meta.url.includes('/dist/') ? '../../' : '../', import.meta.url);
const version = {
  version: (JSON.parse(readFileSync(new URL('package.json', packageRoot), 'utf8')) as { version: string }).version,
  commit: process.env['TEKAI_COMMIT'] ?? 'unknown',
  node: process.version,
};

/** Ends early, without complaint, when told to stop. */
const sleep = (ms: number, signal: AbortSignal) => sleepFor(ms, undefined, { signal }).catch(() => undefined);

process.exitCode = await runCli({
  argv: process.argv,
  env: process.env,
  version: version.version,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  now: () => new Date(),
  sleep,
  up,
  demo,
  replay,
  verify,
  migrateLog,
  topics,
  migrateBlobs,
  secrets,
});

/** `tekai demo`: a program of its own, which starts an engine as anybody would. Not in every image. */
async function demo(words: readonly string[]): Promise<number> {
  const file = fileURLToPath(new URL(`../infra/demo/main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));
  if (!existsSync(file)) {
    process.stderr.write('The demo is not part of this installation. In a clone of the project, run "make demo".\n');
    return EXIT_FAILED;
  }
  const child = spawn(process.execPath, [...process.execArgv, file, ...words], { stdio: 'inherit' });
  // Ctrl-C reaches both of us: the demo ends, and we with it. What only we are told goes on to it.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? EXIT_FAILED;
}

/** `tekai up`: all services in this process, or the named ones; until told to stop. */
async function up(names: readonly string[]): Promise<number> {
  const settings = readSettings();
  if (settings === undefined) return EXIT_CONFIG;
  // Only here: a command that asks a running engine must not load one first (0.9 s become 0.3 s).
  const [{ SERVICE_NAMES }, { runEngine }] = await Promise.all([import('./composition.ts'), import('./run-engine.ts')]);
  const unknown = names.filter((name) => !SERVICE_NAMES.some((known) => known === name));
  if (unknown.length > 0) {
    process.stderr.write(`There is no service called ${unknown.join(', ')}. There are: ${SERVICE_NAMES.join(', ')}.\n`);
    return EXIT_CONFIG;
  }
  if (names.includes('relay') && settings.kafkaUrl === undefined) {
    process.stderr.write('The relay fills Kafka: set TEKAI_KAFKA_URL, and make the topics with "tekai topics apply".\n');
    return EXIT_CONFIG;
  }
  const tracing = await openTracing(settings);
  const logger = createLogger(settings.logLevel, {}, tracing.isOn ? tracing.logFields : undefined);
  const stopping = new AbortController();
  const told = new Promise<'told'>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) {
      process.once(name, () => {
        resolve('told');
        stopping.abort();
        // A second one means now.
        process.once(name, () => process.exit(EXIT_FAILED));
      });
    }
  });
  try {
    const engine = await runEngine({ settings, names: names.length > 0 ? (names as ServiceName[]) : undefined, sleep, version, logger, tracing, signal: stopping.signal, announce: (text) => void process.stderr.write(`\n${text}\n`) });
    process.stderr.write(`\nTekAI Context Engine ${version.version} is up at ${settings.publicUrl} (port ${engine.port}; health details on ${engine.internalPort}).\nThe access token lies in ${settings.keysDir}/access-token.\n\n`);
    const why = await Promise.race([told, engine.givenUp]);
    await engine.stop();
    await tracing.close();
    if (why !== 'told') throw why;
    return 0;
  } catch (error) {
    if (stopping.signal.aborted) return 0;
    logger.fatal({ error }, 'the engine cannot run');
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof StartRefused ? EXIT_CONFIG : EXIT_FAILED;
  }
}

/** `tekai replay`: beside a running engine, or without one. */
function replay(mode: ReplayMode): Promise<number> {
  return beside(async (given) => (mode.kind === 'at' ? (await import('./run-past.ts')).runPast({ ...given, asked: mode }) : (await import('./run-replay.ts')).runReplay({ ...given, mode })));
}

/** `tekai verify`: likewise. */
function verify(request: VerifyRequest): Promise<number> {
  return beside(async (given) => (await import('./run-verify.ts')).runVerify({ ...given, request }));
}

/** `tekai migrate-log`: only without one. */
function migrateLog({ json }: { readonly json: boolean }): Promise<number> {
  return beside(async (given) => (await import('./run-migrate-log.ts')).runMigrateLog({ ...given, json }));
}

/** `tekai topics apply`: likewise. */
function topics(request: TopicsRequest): Promise<number> {
  return beside(async (given) => (await import('./run-topics.ts')).runTopics({ ...given, request }));
}

/** `tekai blobs migrate`: beside a running engine, or without one. */
function migrateBlobs(request: MigrateBlobsRequest): Promise<number> {
  return beside(async (given) => (await import('./run-migrate-blobs.ts')).runMigrateBlobs({ ...given, request }));
}

/** `tekai secrets`: likewise. */
function secrets(request: SecretsRequest): Promise<number> {
  return beside(async (given) => (await import('./run-secrets.ts')).runSecrets({ ...given, request }));
}

/** What is done to the stores by this process, until it is told to stop. */
async function beside(work: (given: { settings: Settings; logger: Logger; signal: AbortSignal; print(text: string): void; note(text: string): void }) => Promise<number>): Promise<number> {
  const settings = readSettings();
  if (settings === undefined) return EXIT_CONFIG;
  const stopping = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stopping.abort());
  try {
    return await work({ settings, logger: createLogger('warn'), signal: stopping.signal, print: (text) => void process.stdout.write(text), note: (text) => void process.stderr.write(text) });
  } catch (error) {
    process.stderr.write(`${stopping.signal.aborted ? 'Stopped; nothing was changed.' : error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof StartRefused ? EXIT_CONFIG : EXIT_FAILED;
  }
}

function readSettings(): Settings | undefined {
  try {
    return parseSettings(process.env);
  } catch (error) {
    if (!(error instanceof WrongSettings)) throw error;
    process.stderr.write(`${error.message}\n`);
    return undefined;
  }
}
