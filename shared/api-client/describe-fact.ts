import { FACTS, type NewFact } from '#schemas/events/facts.ts';

type Told = NewFact extends infer F ? F extends NewFact ? Pick<F, 'type' | 'data'> : never : never;

/** What a fact says, in a few words for one line. Empty for a kind of fact that this program does not know. */
export function describeFact(type: string, data: unknown): string {
  const definition = FACTS.find((one) => one.type === type);
  const parsed = definition?.data.safeParse(data);
  return parsed?.success === true ? inWords({ type, data: parsed.data } as Told) : '';
}

function inWords(fact: Told): string {
  switch (fact.type) {
    case 'source.registered': return `${fact.data.name}, ${fact.data.baseUrl}`;
    case 'codebase.registered': return `${fact.data.path ?? `GitLab project ${fact.data.gitlabProjectId}`}, follows ${[...fact.data.followed.branches, ...fact.data.followed.tags.map((tag) => `tag ${tag}`)].join(', ')}`;
    case 'codebase.changed': return `follows ${[...fact.data.followed.branches, ...fact.data.followed.tags.map((tag) => `tag ${tag}`)].join(', ')}`;
    case 'codebase.archived': return 'archived: read, and synced no longer';
    case 'codebase.restored': return 'restored: kept in sync again';
    case 'codebase.removed': return 'removed; can be undone for seven days';
    case 'codebase.deleted': return 'deleted for good';
    case 'hook.removed': return `webhook ${fact.data.gitlabHookId} is gone`;
    case 'source.changed': return `${fact.data.name}: ${fact.data.changed.join(', ')} changed`;
    case 'source.open-projects-decided': return `public and internal projects are read by ${fact.data.readBy === 'members' ? 'their members' : 'whoever is signed in'}`;
    case 'source.removed': return 'removed, its credentials forgotten';
    case 'project.created':
    case 'project.renamed': return fact.data.name;
    case 'project.archived': return 'archived';
    case 'project.restored': return 'restored';
    case 'project.removed': return 'removed';
    case 'project.codebase-added': return `has codebase ${fact.data.codebaseId}`;
    case 'project.codebase-removed': return `has codebase ${fact.data.codebaseId} no longer`;
    case 'codebase.readers-observed': return `GitLab lets ${counted(fact.data.granted.length, 'user')} more read it, ${fact.data.revoked.length} no longer`;
    case 'project.reading-given': return `its members read codebase ${fact.data.codebaseId}`;
    case 'project.reading-taken': return `its members read codebase ${fact.data.codebaseId} no longer`;
    case 'project.member-added': return `user ${fact.data.userId} is in it, as ${fact.data.role}`;
    case 'project.member-changed': return `user ${fact.data.userId} is ${fact.data.role} now`;
    case 'project.member-removed': return `user ${fact.data.userId} is in it no longer`;
    case 'user.gitlab-bound': return `is GitLab user ${fact.data.gitlabUserId} of source ${fact.data.sourceId}`;
    case 'user.gitlab-unbound': return `is GitLab user ${fact.data.gitlabUserId} of source ${fact.data.sourceId} no longer`;
    case 'bindings.recorded': return 'who is who in GitLab is recorded from here on';
    case 'hook.installed': return `webhook ${fact.data.gitlabHookId} ${fact.data.how}${fact.data.isSigned ? ', deliveries are signed' : ''}`;
    case 'hook.refused': return fact.data.reason;
    case 'push.received': return fact.data.refs.length === 0 ? 'no refs named: all are looked at' : listed(fact.data.refs.map((hint) => `${shortRef(hint.ref)} to ${hint.after === null || /^0+$/.test(hint.after) ? 'nothing' : shortId(hint.after)}`));
    case 'delivery.ignored': return fact.data.reason;
    case 'gitlab.hinted': return `${fact.data.about} may have changed (${fact.data.event})`;
    case 'sync.requested': return fact.data.ref === null ? 'every followed ref' : shortRef(fact.data.ref);
    case 'gap.detected': return `${shortRef(fact.data.ref)} at ${fact.data.found === null ? 'nothing' : shortId(fact.data.found)} in GitLab, and no webhook told`;
    case 'codebase.fetched': {
      const { counts, packs } = fact.data;
      return `${moved(fact.data)}, ${counted(counts.commits + counts.trees + counts.blobs, 'object')}, ${counted(packs.length, 'pack')}`;
    }
    case 'codebase.scanned': return `${moved(fact.data)}, ${counted(fact.data.counts.blobs, 'file')} looked at`;
    case 'codebase.stored': return `${moved(fact.data)}, verified, ${counted(fact.data.objectsAdded, 'object')} added`;
    case 'sync.skipped': return `${shortRef(fact.data.ref)}, ${SKIPPED[fact.data.reason]}`;
    case 'ref.unfollowed': return `${shortRef(fact.data.ref)}, followed no longer`;
    case 'ref.deleted': return `${shortRef(fact.data.ref)}, gone in GitLab`;
    case 'sync.failed': return `${shortRef(fact.data.ref)}, attempt ${fact.data.attempt} in ${fact.data.step}: ${fact.data.reason}: ${fact.data.detail}`;
    default: return fact satisfies never;
  }
}

const SKIPPED = {
  'up-to-date': 'up to date',
  'newer-hint': 'left to a newer hint',
  'not-followed': 'not a followed ref',
  'nothing-there': 'nothing there',
  'codebase-archived': 'its codebase is archived',
  'codebase-removed': 'its codebase is removed',
} as const;

const REFS_SHOWN = 3;

function listed(parts: readonly string[]): string {
  return parts.length <= REFS_SHOWN ? parts.join(', ') : `${parts.slice(0, REFS_SHOWN).join(', ')} and ${parts.length - REFS_SHOWN} more`;
}

const moved = ({ ref, commit }: { ref: string; commit: string | null }) => `${shortRef(ref)} at ${commit === null ? 'nothing (empty repository)' : shortId(commit)}`;

/** `refs/heads/main` is `main` to people. */
export const shortRef = (ref: string) => ref.replace(/^refs\/heads\//, '').replace(/^refs\/tags\//, 'tag ');
export const shortId = (id: string) => id.slice(0, 10);
/** `1 object`, `1,234 objects`. */
export const counted = (count: number, noun: string) => `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
