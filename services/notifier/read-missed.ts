import type { Position } from '#schemas/brand.ts';
import { mapBounded } from '#shared/runtime/map-bounded.ts';
import { toldFact, type ToldFact } from './pub-frame.ts';
import type { Hearing } from './rights.ts';
import type { SubscriptionDeps } from './subscription.ts';

/** Appends use the same connections: with two pages at once, half of them stay free. */
const READS_AT_ONCE = 2;

interface Asked { readonly channels: readonly string[]; readonly hearing: Hearing | undefined; readonly after: Position }

/** The next page of what was missed on some channels, from the index and the log. It is to be judged before it is told. @throws Unavailable */
export async function readMissed(deps: SubscriptionDeps, asked: Asked): Promise<{ facts: readonly ToldFact[]; isLast: boolean; upTo: Position }> {
  const { keys, upTo } = await scope(deps, asked);
  const { after } = asked;
  const limit = deps.limits.pageFacts;
  const found = keys === undefined ? await deps.store.facts({ after, limit }) : await deps.store.factsOf({ keys, after, limit });
  // Behind that position others may have joined, whose facts were not asked for.
  const page = found.filter(({ position }) => position <= upTo);
  const facts = await mapBounded(page, READS_AT_ONCE, async ({ stream, revision, position }) => {
    const [fact] = await deps.log.readStream(stream, { from: revision, limit: 1 });
    if (fact === undefined) throw new Error(`the index names revision ${revision} of ${stream} at ${position}, which the log does not have`);
    return toldFact(deps.epoch, fact);
  });
  return { facts, upTo, isLast: page.length < limit };
}

/** Whose facts are to be read (undefined: everybody's), and up to where that is known. */
async function scope({ store, fanOut }: SubscriptionDeps, { channels, hearing }: Asked): Promise<{ keys: readonly string[] | undefined; upTo: Position }> {
  const [projects, codebases] = ['project:', 'codebase:'].map((kind) => channels.filter((channel) => channel.startsWith(kind)).map((channel) => channel.slice(kind.length))) as [string[], string[]];
  if (channels.includes('all') || projects.length === 0) {
    const upTo = await store.position();
    return { keys: channels.includes('all') ? undefined : codebases, upTo };
  }
  const looks = [];
  for (const project of projects) looks.push(await fanOut.members.refresh(project));
  // Behind that position: whoever was given a right by then is read from here.
  if (hearing !== undefined) await fanOut.rights.look();
  const upTo = looks.map(({ position }) => position).reduce((least, position) => (position < least ? position : least));
  return { keys: [...new Set([...projects, ...codebases, ...looks.flatMap((look) => look.codebases).filter((one) => hearing?.mayHearOf(one) !== false)])], upTo };
}
