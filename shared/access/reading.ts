import type { Response } from 'express';
import { codebaseId, type CodebaseId } from '#schemas/brand.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import { mustBeKnown, type Principal } from '#shared/runtime/access.ts';
import { Problem } from '#shared/runtime/problem.ts';

type Rights = Pick<ReadStore, 'readable'>;

/** The one question: may they read this codebase? What the tables say of everybody else, system admins need not be told. @throws Unavailable */
export async function mayRead(rights: Rights, principal: Principal, codebase: string | undefined): Promise<boolean> {
  const parsed = codebaseId.safeParse(codebase);
  return parsed.success && (await readableOf(rights, principal, [parsed.data])).has(parsed.data);
}

/** Of these codebases, those that they may read. @throws Unavailable */
export async function readableOf(rights: Rights, principal: Pick<Principal, 'actor' | 'isSystemAdmin'>, codebases: readonly CodebaseId[]): Promise<ReadonlySet<CodebaseId>> {
  const only = onlyReadableBy(principal);
  return only.readableBy === undefined ? new Set(codebases) : rights.readable(only.readableBy, codebases);
}

/** For a listing: nothing to leave out for system admins, and for others all that they may not read. */
export const onlyReadableBy = ({ actor, isSystemAdmin }: Pick<Principal, 'actor' | 'isSystemAdmin'>): { readonly readableBy?: string } => (isSystemAdmin ? {} : { readableBy: actor.id });

/** The same of who asks now. */
export const onlyReadable = (response: Response) => onlyReadableBy(mustBeKnown(response));

/** Also of one that is there, to who may not read it. */
export const codebaseUnknown = (id: string | undefined) =>
  new Problem(404, 'codebase-unknown', `There is no codebase ${JSON.stringify(id)}. GET /v1/codebases lists them; one registered a moment ago may need a moment.`);
