import { EmbeddedPostgresError, type EmbeddedPostgresErrorKind, OWN_DATABASE_HINT } from './embedded-error.ts';

/** What initdb and the postmaster say (in English: they run with LC_ALL=C), what it means, what to do. The first that fits counts. */
const COMPLAINTS: readonly { says: RegExp; kind: EmbeddedPostgresErrorKind; why: string; todo: string }[] = [
  {
    says: /could not (create|map|resize).*shared memory|could not create semaphores/i,
    kind: 'no-shared-memory',
    why: 'the system gives it no shared memory.',
    todo: 'allow more (`docker run --shm-size=256m`, kernel.shmall, kernel.shmmni, kernel.sem, the memory limit)',
  },
  {
    says: /No space left on device|Disk quota exceeded/i,
    kind: 'disk-full',
    why: 'the disk is full.',
    todo: 'free some space there and start again: nothing that was committed is lost',
  },
  {
    says: /could not bind .*(Address already in use|address in use)|could not create any TCP\/IP sockets/i,
    kind: 'port-taken',
    why: 'another program listens on its port.',
    todo: 'start again (another port is then chosen)',
  },
  {
    says: /could not look up effective user ID/i,
    kind: 'no-account',
    why: 'the user id of this process has no entry in /etc/passwd, and initdb insists on one.',
    todo: 'run the engine as a user that exists (in Docker: one of the image, not `--user 12345`)',
  },
  {
    says: /has invalid permissions|has wrong ownership|could not change permissions/i,
    kind: 'not-writable',
    why: 'the data folder does not keep owner and mode (a network share, a mounted host folder?), or somebody changed them.',
    todo: 'use a state folder on a local file system, owned by one user, mode 700',
  },
  {
    says: /Permission denied|Read-only file system/i,
    kind: 'not-writable',
    why: 'it may not write to its folder.',
    todo: 'give the state folder to the user that the engine runs as, name another state folder',
  },
  {
    says: /database files are incompatible|is not compatible with this version/i,
    kind: 'wrong-version',
    why: 'the data were written by another major version of Postgres.',
    todo: 'start the engine release that wrote them, dump, and restore into a new state folder',
  },
];

/** Another postmaster, or a backend that outlived a killed one, still has the data folder: wait and look again. */
export function isHeldByAnother(output: string): boolean {
  return /lock file ".*" already exists|pre-existing shared memory block/.test(output);
}

/** Turns the last words of initdb or the postmaster into an error that a person can act upon. */
export function explainOutput(tried: string, output: string, cause?: unknown): EmbeddedPostgresError {
  const said = output.trim().split('\n').slice(-12).join('\n') || 'it said nothing';
  const known = COMPLAINTS.find(({ says }) => says.test(output));
  return new EmbeddedPostgresError(known?.kind ?? 'failed', {
    tried,
    why: `${known?.why ?? 'it ended.'} It said: ${said}\n`,
    todo: `${known?.todo ?? 'see what it said'}, ${OWN_DATABASE_HINT}.`,
    cause,
  });
}
