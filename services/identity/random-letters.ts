import { randomBytes } from 'node:crypto';

/** None that is mistaken for another. */
const LETTERS = 'abcdefghjkmnpqrstuvwxyz23456789';
const GROUP = { length: 6, sign: '-' } as const;

/** About five random bits a letter, in groups that are read and typed by people. */
export function randomLetters(count: number): string {
  // 31 of 256 do not divide: what is beyond 248 is thrown away, so that every letter is as likely.
  const drawn: string[] = [];
  while (drawn.length < count) for (const byte of randomBytes(32)) if (byte < 248 && drawn.length < count) drawn.push(LETTERS[byte % 31] ?? '');
  return drawn.join('').replace(new RegExp(`(.{${GROUP.length}})(?=.)`, 'g'), `$1${GROUP.sign}`);
}
