/** The way out that always exists: a Postgres of one's own, by URL. */
export const OWN_DATABASE_HINT = 'or set TEKAI_DATABASE_URL to a Postgres (15 or newer) of your own';

/** Why the embedded Postgres could not do its work: for code. The message is for the person who starts the engine. */
export type EmbeddedPostgresErrorKind =
  | 'no-binaries'
  | 'no-account'
  | 'not-writable'
  | 'disk-full'
  | 'port-taken'
  | 'no-shared-memory'
  | 'in-use'
  | 'wrong-version'
  | 'wrong-password'
  | 'data-missing'
  | 'not-answering'
  | 'crash-loop'
  | 'aborted'
  | 'failed';

/** Says what was tried, why it failed and what to do. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';
  readonly kind: EmbeddedPostgresErrorKind;

  constructor(kind: EmbeddedPostgresErrorKind, { tried, why, todo, cause }: {
    tried: string; why: string; todo: string; cause?: unknown;
  }) {
    super(`embedded Postgres: could not ${tried}: ${why} What to do: ${todo}`, { cause });
    this.kind = kind;
  }
}

/** Gives an error of the file system its explanation; what is explained already passes as it is. */
export function explainFileError(tried: string, path: string, cause: unknown): EmbeddedPostgresError {
  if (cause instanceof EmbeddedPostgresError) return cause;
  const { code = '', message = String(cause) } = cause as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new EmbeddedPostgresError('disk-full', {
        tried, why: `no space is left for ${path} (${code}).`, todo: `free some space there, ${OWN_DATABASE_HINT}.`, cause,
      });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'EEXIST':
    case 'ENOTDIR':
      return new EmbeddedPostgresError('not-writable', {
        tried,
        why: `${path} cannot be used by user id ${process.getuid?.() ?? '?'} (${message}).`,
        todo: `make it a folder that this user owns and may write, name another state folder, ${OWN_DATABASE_HINT}.`,
        cause,
      });
    default:
      return new EmbeddedPostgresError('failed', {
        tried, why: `${message}.`, todo: `see the cause, name another state folder, ${OWN_DATABASE_HINT}.`, cause,
      });
  }
}
