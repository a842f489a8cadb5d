import type { Request } from 'express';
import { Problem } from '#shared/runtime/problem.ts';

/** Which state of a thing a command was given for: one revision, or whatever there is. */
export type IfMatch = number | 'any';

/** `"7"`, or with what a look adds behind it (`"7.kX3…"`); `*` for any. Weak ones never match (RFC 9110, 13.1.1). */
const TAG = /^"(\d{1,9})(?:\.[\x21\x23-\x7e]*)?"$/;

/** @throws Problem 428 without the header, 412 when it can be the tag of nothing of ours */
export function ifMatchOf(request: Request): IfMatch {
  const header = request.headers['if-match']?.trim();
  if (header === undefined || header === '') {
    throw new Problem(428, 'if-match-missing', 'Send an If-Match header with the ETag that GET gives, so that nobody\'s change is written over unseen; or "If-Match: *" to change whatever is there.');
  }
  if (header === '*') return 'any';
  const revision = TAG.exec(header)?.[1];
  if (revision === undefined) throw new Problem(412, 'changed-meanwhile', `If-Match: ${header.slice(0, 100)} is no ETag that a GET of this gave. Get it again, and look at what it is now.`);
  return Number(revision);
}

/** The tag of a thing at a revision of its stream. */
export const tagOf = (revision: number) => `"${revision}"`;
