import { CliError, EXIT } from './exit-codes.ts';

/** What one page of the engine has at most. */
const LIMIT_MAX = 1_000;

/** @throws CliError */
export function limitOf(text: string): number {
  if (/^\d{1,4}$/.test(text) && Number(text) >= 1 && Number(text) <= LIMIT_MAX) return Number(text);
  throw new CliError(EXIT.usage, `--limit ${text} is not a whole number from 1 to ${LIMIT_MAX}.`);
}
