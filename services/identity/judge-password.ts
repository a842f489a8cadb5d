import { Problem } from '#shared/runtime/problem.ts';
import { isMostUsed } from './most-used-passwords.ts';

/** Shorter names are in many words. */
const NAME_LENGTH_MIN = 4;
/** Of what is repeated: half of the shortest password there is. */
const REPEATED_LENGTH_MAX = 6;

export interface Chosen { readonly password: string; readonly before: string; readonly name: string }

/** What stands against a password that somebody chooses, beside its length, with the way out: undefined when nothing does. */
export function objectionTo({ password, before, name }: Chosen): Problem | undefined {
  if (password === before || (name.length >= NAME_LENGTH_MIN && password.toLowerCase().includes(name))) {
    return refused('password-too-like', 'The new password must be another one, and not hold the name.', 'the old one, or the name in it');
  }
  if (isRepetition(password.toLowerCase())) return refused('password-too-easy', `The new password is a few characters again and again, which are guessed first. ${WAY_OUT}`, 'a few characters again and again');
  if (isMostUsed(password)) return refused('password-too-easy', `The new password is one of the most used, which are guessed first. ${WAY_OUT}`, 'one of the most used');
  return undefined;
}

const WAY_OUT = 'Take some words that nobody says together, or let a password manager make one.';

const refused = (code: string, detail: string, at: string) => new Problem(422, code, detail, { errors: [{ pointer: '/newPassword', detail: at }] });

/** From some place on each character is the one that stood so many before it: `aaaaaaaaaaaa`, `abcabcabcabca`. */
function isRepetition(text: string): boolean {
  for (let length = 1; length <= Math.min(REPEATED_LENGTH_MAX, text.length / 2); length += 1) {
    if (text.slice(length) === text.slice(0, -length)) return true;
  }
  return false;
}
