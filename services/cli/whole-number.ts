import { CliError, EXIT } from './exit-codes.ts';

/** What one page of the engine has at most. */
const LIMIT_MAX = 1_000;

/** @throws CliError */
export function limitOf(text: string): number {
  if (/^\d{1,4}$/.test(text) && Number(text) >= 1 && Number(text) <= LIMIT_MAX) return Number(text);
  throw new CliError(EXIT.usage, `--limit ${text} is not a whole number from 1 to ${LIMIT_MAX}.`);
}

/** What the engine gives a token at most. */
const DAYS_MAX = 366;

/** @throws CliError */
export function daysOf(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= DAYS_MAX) return Number(text);
  throw new CliError(EXIT.usage, `--days ${text} is not a whole number from 1 to ${DAYS_MAX}.`);
}

/** GitLab's ids begin at 1. @throws CliError */
export function gitlabUserOf(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new CliError(EXIT.usage, `--gitlab-user ${text} is not the number of a GitLab user.`);
}
