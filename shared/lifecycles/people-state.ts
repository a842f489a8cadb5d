import type { SourceId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import { peopleStream } from '#schemas/ids.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { factsOf } from './read-state.ts';

/** Who of us is who in one GitLab. */
export interface PeopleState {
  /** Undefined: the stream has not begun. */
  readonly revision: number | undefined;
  /** By our user's id, the id that their GitLab gave them: one each, each way. */
  readonly gitlabUserOf: ReadonlyMap<string, number>;
  /** Of every fact that stands there. */
  readonly factIds: ReadonlySet<string>;
}

/** Folded as it is read, into one map: there may be thousands of people. @throws Unavailable | UnreadableFact */
export async function readPeople(log: Pick<EventLog, 'readStream'>, source: SourceId): Promise<PeopleState> {
  const gitlabUserOf = new Map<string, number>();
  const factIds = new Set<string>();
  let revision: number | undefined;
  for await (const fact of factsOf(log, peopleStream(source))) {
    foldPerson(gitlabUserOf, fact);
    factIds.add(fact.id);
    ({ revision } = fact);
  }
  return { revision, gitlabUserOf, factIds };
}

function foldPerson(gitlabUserOf: Map<string, number>, { type, data }: Fact): void {
  if (type === 'user.gitlab-bound') gitlabUserOf.set(data.userId, data.gitlabUserId);
  else if (type === 'user.gitlab-unbound') gitlabUserOf.delete(data.userId);
}
