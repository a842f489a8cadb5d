import { Problem } from '#shared/runtime/problem.ts';
import { isPrivateRange, PRIVATE_RANGES } from './address-classes.ts';

/** Of what a command allows: this machine, and what nothing is ever sent to, are nobody's to allow by a command. @throws Problem 422 */
export function mustBePrivate(ranges: readonly string[], pointer: string): void {
  const wrong = ranges.filter((range) => !isPrivateRange(range));
  if (wrong.length === 0) return;
  const detail = `${wrong.join(', ')} cannot be allowed here: only what lies within ${PRIVATE_RANGES.join(', ')}. Public addresses need no leave; this machine's own are allowed by TEKAI_ALLOW_ADDRESSES, others never.`;
  throw new Problem(422, 'body-invalid', detail, { errors: [{ pointer, detail }] });
}
