import type { Place, FactOf } from './fact.ts';
import { envelope } from './fact.ts';
import { codebaseFetched } from './codebase-fetched.ts';
import { codebaseReadersObserved } from './codebase-readers-observed.ts';
import { codebaseRegistered } from './codebase-registered.ts';
import { codebaseScanned } from './codebase-scanned.ts';
import { codebaseStored } from './codebase-stored.ts';
import { deliveryIgnored } from './delivery-ignored.ts';
import { gapDetected } from './gap-detected.ts';
import { gitlabHinted } from './gitlab-hinted.ts';
import { hookInstalled } from './hook-installed.ts';
import { hookRefused } from './hook-refused.ts';
import { pushReceived } from './push-received.ts';
import { refDeleted } from './ref-deleted.ts';
import { sourceRegistered } from './source-registered.ts';
import { syncFailed } from './sync-failed.ts';
import { syncRequested } from './sync-requested.ts';
import { syncSkipped } from './sync-skipped.ts';
import { codebaseArchived } from './codebase-archived.ts';
import { codebaseChanged } from './codebase-changed.ts';
import { codebaseDeleted } from './codebase-deleted.ts';
import { codebaseRemoved } from './codebase-removed.ts';
import { codebaseRestored } from './codebase-restored.ts';
import { hookRemoved } from './hook-removed.ts';
import { projectArchived } from './project-archived.ts';
import { projectCodebaseAdded } from './project-codebase-added.ts';
import { projectCodebaseRemoved } from './project-codebase-removed.ts';
import { projectCreated } from './project-created.ts';
import { projectMemberAdded } from './project-member-added.ts';
import { projectMemberChanged } from './project-member-changed.ts';
import { projectMemberRemoved } from './project-member-removed.ts';
import { projectReadingGiven } from './project-reading-given.ts';
import { projectReadingTaken } from './project-reading-taken.ts';
import { projectRemoved } from './project-removed.ts';
import { projectRenamed } from './project-renamed.ts';
import { projectRestored } from './project-restored.ts';
import { refUnfollowed } from './ref-unfollowed.ts';
import { sourceChanged } from './source-changed.ts';
import { sourceOpenProjectsDecided } from './source-open-projects-decided.ts';
import { sourceRemoved } from './source-removed.ts';
import { bindingsRecorded } from './bindings-recorded.ts';
import { userGitLabBound } from './user-gitlab-bound.ts';
import { userGitLabUnbound } from './user-gitlab-unbound.ts';

/** Every kind of fact there is. The only list: types, parsers, JSON Schema, samples and flow tests are made from it. */
export const FACTS = [
  sourceRegistered, codebaseRegistered, hookInstalled, hookRefused,
  pushReceived, deliveryIgnored, gitlabHinted, syncRequested, gapDetected,
  codebaseFetched, codebaseScanned, codebaseStored,
  syncSkipped, refDeleted, syncFailed,
  sourceChanged, sourceRemoved, codebaseChanged, codebaseArchived, codebaseRestored, codebaseRemoved, codebaseDeleted, hookRemoved, refUnfollowed,
  projectCreated, projectRenamed, projectArchived, projectRestored, projectRemoved, projectCodebaseAdded, projectCodebaseRemoved,
  projectMemberAdded, projectMemberChanged, projectMemberRemoved, projectReadingGiven, projectReadingTaken,
  codebaseReadersObserved, sourceOpenProjectsDecided,
  userGitLabBound, userGitLabUnbound, bindingsRecorded,
] as const;

type Definition = (typeof FACTS)[number];
export type FactType = Definition['type'];

/** A fact before the log has given it a place. */
export type NewFact<Type extends FactType = FactType> = FactOf<Extract<Definition, { type: Type }>>;

/** A fact as it stands in the log. */
export type Fact<Type extends FactType = FactType> = NewFact<Type> & Place;

export class UnreadableFact extends Error {
  override readonly name = 'UnreadableFact';
}

interface Parsable { readonly type: string; readonly id: string; readonly data: unknown }

const byType = new Map<string, Definition>(FACTS.map((definition) => [definition.type, definition]));

/**
 * Makes sure that a value is a fact of a kind and version that this program knows, and returns it.
 * Unknown fields are kept out; samples in schemas/samples/ hold that everything ever written still passes.
 * @throws UnreadableFact naming the type, id and what is wrong.
 */
export function parseFact<F extends Parsable>(value: F): F extends Place ? Fact : NewFact {
  const definition = byType.get(value.type);
  if (definition === undefined) throw new UnreadableFact(`fact ${value.id}: its type ${JSON.stringify(value.type)} is not known to this version`);
  const head = envelope.safeParse(value);
  const data = definition.data.safeParse(value.data);
  const issues = [...(head.error?.issues ?? []), ...(data.error?.issues ?? [])];
  if (issues.length > 0) throw new UnreadableFact(`fact ${value.id} of type ${value.type}: ${issues.map((i) => `${i.path.join('.')}: ${i.message}`).join('; ')}`);
  return { ...value, data: data.data } as unknown as F extends Place ? Fact : NewFact;
}

/** The prefixes of the streams in which facts of these types stand: what a log subscription filters by. */
export function streamPrefixesOf(types: readonly FactType[]): string[] {
  return [...new Set(types.flatMap((type) => byType.get(type)?.streamPrefixes ?? []))];
}
