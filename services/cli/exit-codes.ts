import { ApiProblem, EngineUnreachable } from '#shared/api-client/api-errors.ts';

/** As in sysexits.h, so that scripts can tell what went wrong. */
export const EXIT = { ok: 0, failed: 1, usage: 64, unreachable: 69, notAuthenticated: 77, configuration: 78 } as const;

/** What a person is told when a command cannot do what was asked: what was tried, why it failed, what to do. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof CliError) return error.exitCode;
  if (error instanceof EngineUnreachable) return EXIT.unreachable;
  if (error instanceof ApiProblem && (error.status === 401 || error.status === 403)) return EXIT.notAuthenticated;
  return EXIT.failed;
}
