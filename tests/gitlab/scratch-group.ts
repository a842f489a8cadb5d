import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { must, type Rest } from './target.ts';

/** All that the suites make lies below one group of their own. */
export interface ScratchGroup {
  readonly id: number;
  readonly path: string;
  /** What is left of it, in words; undefined when nothing is. Twice does no harm. */
  remove(): Promise<string | undefined>;
}

const PREFIX = 'tekai-scratch-';
/** GitLab removes in the background: so often it is looked, a second apart, whether the group is still there. */
const LOOKS_MAX = 20;

/** @throws Error with GitLab's words */
export async function makeScratchGroup(rest: Rest, group: string): Promise<ScratchGroup> {
  const parent = await must(rest('GET', `/groups/${encodeURIComponent(group)}?with_projects=false`), `find the group ${group}`) as { id: number };
  const name = `${PREFIX}${randomBytes(4).toString('hex')}`;
  const made = await must(rest('POST', '/groups', { name, path: name, parent_id: parent.id, visibility: 'private' }), `make a group below ${group}; the token needs the scope api, and its user the role Maintainer or Owner there`) as { id: number; full_path: string };
  return { id: made.id, path: made.full_path, remove: () => removeGroup(rest, made) };
}

/** Groups that an earlier run left behind: for a person to look at, never removed by us. */
export async function leftOvers(rest: Rest, group: string): Promise<string[]> {
  const { status, body } = await rest('GET', `/groups/${encodeURIComponent(group)}/subgroups?search=${PREFIX}&per_page=100`);
  return status === 200 ? (body as { full_path: string }[]).map((one) => one.full_path).filter((path) => path.includes(`/${PREFIX}`)) : [];
}

async function removeGroup(rest: Rest, { id, full_path: path }: { id: number; full_path: string }): Promise<string | undefined> {
  const first = await rest('DELETE', `/groups/${id}`);
  if (first.status === 404) return undefined;
  if (first.status >= 300) return `${path} could not be removed (${first.status} ${JSON.stringify(first.body)}): remove it by hand`;
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    const { status, body } = await rest('GET', `/groups/${id}?with_projects=false`);
    if (status === 404) return undefined;
    // Newer GitLab only marks it, and may rename it for that; a second word removes it now, where the instance allows it.
    const { marked_for_deletion_on: markedFor, full_path: pathNow } = body as { marked_for_deletion_on?: string | null; full_path: string };
    if (markedFor) {
      const now = await rest('DELETE', `/groups/${id}?permanently_remove=true&full_path=${encodeURIComponent(pathNow)}`);
      if (now.status >= 400 && now.status !== 404) return `${pathNow} is marked for removal on ${markedFor}; GitLab removes it then by itself (now it says ${now.status})`;
    }
    await sleep(1_000);
  }
  return `${path} was still there ${LOOKS_MAX} s after GitLab had agreed to remove it: look whether it went`;
}
