import { dropKey, rotateKey, type RotateDeps, type Rotated } from '#shared/secrets/rotate-key.ts';
import { phaseOf, type RotationPhase } from '#shared/secrets/rotation-phase.ts';
import type { KeyRecord } from '#shared/secrets/secret-keys.ts';
import { keyFileOf, readKeys } from '#shared/secrets/key-file.ts';
import { keyIdOf } from '#shared/secrets/secret-cipher.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import type { Settings } from '#shared/runtime/settings.ts';
import { StartRefused } from '#shared/runtime/start-waits.ts';
import type { SecretsRequest } from './cli/cli.ts';
import { openSecretKeys } from './composition-beside.ts';
import { sleep } from './composition-stores.ts';

export interface SecretsOptions {
  readonly settings: Settings;
  readonly request: SecretsRequest;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** The answer. */
  print(text: string): void;
  /** Remarks for people, beside it. */
  note(text: string): void;
}

const EXIT_FAILED = 1;
/** Names of secrets that are told; all are in --json. */
const TOLD_MAX = 20;
const STATES = { next: 'is told to every process, and enciphers nothing yet', current: 'enciphers', old: 'was before', gone: 'was taken away' } as const;

/** Resolves to the exit code: 0 once what was asked for is so. @throws StartRefused, and when a store or the key file is away */
export async function runSecrets({ settings, request, logger, signal, print, note }: SecretsOptions): Promise<number> {
  const opened = await openSecretKeys({ settings, logger, signal });
  const deps = { directory: settings.keysDir, keys: opened.keys };
  try {
    switch (request.kind) {
      case 'keys': {
        const record = await opened.keys.read();
        const inFile = ((await readKeys(settings.keysDir)) ?? []).map(keyIdOf);
        print(request.json ? asJson({ record, phase: phaseOf(record), unreadable: [] }) : `${tableOf(record)}${keyFileOf(settings.keysDir)} has ${inFile.join(', ') || 'no key'}\n${nextStep(phaseOf(record), settings.keysDir)}`);
        return 0;
      }
      case 'rotate-key': return await rotate({ ...deps, sleep, onPhase: tellOnce(note, settings.keysDir) }, { json: request.json, signal, print, note });
      case 'drop-key': {
        const dropped = await dropKey(deps, request.keyId);
        if (dropped.kind === 'needed') throw new StartRefused(dropped.why === 'current' ? `Key ${request.keyId} is the one that enciphers. "tekai secrets rotate-key" has another do that.` : `${secretsIn(dropped.secrets)} still enciphered with key ${request.keyId}. "tekai secrets rotate-key" enciphers them anew.`);
        print(request.json ? `${JSON.stringify({ keyId: request.keyId, wasInFile: dropped.kind === 'dropped' }, null, 2)}\n`
          : `${dropped.kind === 'dropped' ? `Key ${request.keyId} is no longer in ${keyFileOf(settings.keysDir)}` : `There is no key ${request.keyId} in ${keyFileOf(settings.keysDir)}`}, and nothing needs it but backups of the database from before. On other hosts it is there until you run this there too, or copy the file.\n`);
        return 0;
      }
      default: return request satisfies never;
    }
  } finally {
    await opened.close();
  }
}

interface Rotating { readonly json: boolean; readonly signal: AbortSignal; print(text: string): void; note(text: string): void }

async function rotate(deps: RotateDeps, { json, signal, print, note }: Rotating): Promise<number> {
  try {
    const rotated = await rotateKey(deps, signal);
    const { record, phase, unreadable } = rotated;
    print(json ? asJson(rotated) : `${tableOf(record)}${nextStep(phase, deps.directory)}`);
    if (unreadable.length === 0) return 0;
    note(`No key here deciphers ${unreadable.slice(0, TOLD_MAX).join(', ')}${unreadable.length > TOLD_MAX ? ' and more' : ''}. Bring back the key file that they were written with, set them anew, or delete their rows of the table secrets; then run this again.\n`);
    return EXIT_FAILED;
  } catch (error) {
    if (!signal.aborted) throw error;
    note('Stopped. Everything can be read as before; the same command goes on with it.\n');
    return EXIT_FAILED;
  }
}

/** Each remark once, however often it is looked. */
function tellOnce(note: (text: string) => void, directory: string): RotateDeps['onPhase'] {
  let told = '';
  return (phase) => {
    const text = phase.kind === 'none' || phase.kind === 'done' ? '' : nextStep(phase, directory);
    if (text !== '' && text !== told) note(text);
    told = text;
  };
}

function nextStep(phase: RotationPhase | undefined, directory: string): string {
  if (phase === undefined) return 'This database has no key yet: start the engine once.\n';
  switch (phase.kind) {
    case 'none': return `Everything is enciphered with key ${phase.current}. No change of keys is under way.\n`;
    case 'telling': return phase.lacking.length === 0 ? `Phase 1 of 3: every process has key ${phase.next}; "tekai secrets rotate-key" goes on.\n`
      : `Phase 1 of 3: these processes do not have key ${phase.next} yet: ${phase.lacking.join(', ')}. Each looks into its key file every ten seconds; on other hosts, copy ${keyFileOf(directory)} there. One that was killed is waited for for a minute.\n`;
    case 'enciphering': return `Phase 2 of 3: key ${phase.current} enciphers what is new; ${secretsIn(phase.left)} to be enciphered anew by "tekai secrets rotate-key".\n`;
    case 'done': return `Phase 3 of 3: everything is enciphered with key ${phase.current}. Key ${phase.old} is needed by nothing but backups of the database from before: keep it with these, and take it from here with "tekai secrets drop-key ${phase.old}".\n`;
    default: return phase satisfies never;
  }
}

function tableOf({ keys, secrets, holders }: KeyRecord): string {
  const known = keys.map(({ id, state, since }) => ({ id, text: `${STATES[state]}, since ${since.toISOString()}` }));
  const strangers = [...secrets.keys()].filter((id) => !known.some((key) => key.id === id)).map((id) => ({ id, text: 'is known to nobody here' }));
  return [
    ...[...known, ...strangers].map(({ id, text }) => `key ${id}  ${secretsIn(secrets.get(id) ?? 0, '')}  ${text}\n`),
    ...holders.map(({ process, keyIds }) => `process ${process} has ${keyIds.join(', ')}\n`),
  ].join('');
}

function asJson({ record: { keys, secrets, holders }, phase, unreadable }: Omit<Rotated, 'phase'> & { readonly phase: RotationPhase | undefined }): string {
  const known = keys.map(({ id, state, since }) => ({ id, state, since: since.toISOString(), secrets: secrets.get(id) ?? 0 }));
  const strangers = [...secrets].filter(([id]) => !keys.some((key) => key.id === id)).map(([id, count]) => ({ id, state: 'unknown', since: null, secrets: count }));
  return `${JSON.stringify({ phase: phase ?? null, keys: [...known, ...strangers], processes: holders, unreadable }, null, 2)}\n`;
}

const secretsIn = (count: number, verb = count === 1 ? ' is' : ' are') => `${count.toLocaleString('en')} ${count === 1 ? 'secret' : 'secrets'}${verb}`;
