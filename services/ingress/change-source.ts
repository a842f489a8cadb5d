import type { SourceId } from '#schemas/brand.ts';
import type { ChangeSource } from '#schemas/commands/commands.ts';
import type { Fact } from '#schemas/events/facts.ts';
import { codebaseStream, sourceStream } from '#schemas/ids.ts';
import { applyToCodebase, type CodebaseState } from '#shared/lifecycles/codebase-state.ts';
import { readState } from '#shared/lifecycles/read-state.ts';
import { applyToSource, type SourceState } from '#shared/lifecycles/source-state.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { Problem } from '#shared/runtime/problem.ts';
import type { SourceRegistry } from '#shared/sources/source-directory.ts';
import { decide, type DecideDeps, type Outcome } from './decide.ts';
import type { IfMatch } from './if-match.ts';
import type { CommandContext } from './register-source.ts';

export interface ChangeSourceDeps extends DecideDeps {
  readonly sources: Pick<SourceRegistry, 'change' | 'forget'>;
  /** Which codebases a source has, as far as folded. */
  readonly store: Pick<ReadStore, 'codebases'>;
}

type Given = CommandContext & { readonly ifMatch: IfMatch };

/**
 * Another name, token, authority or proxy. The fact first, for the log decides who is first; then table and vault: sent again
 * after a crash between, the same command finds its fact and writes them. @throws Problem | Unavailable
 */
export async function onChangeSource(deps: ChangeSourceDeps, id: SourceId, { body, ifMatch, ...context }: Given & { readonly body: ChangeSource }): Promise<Outcome<SourceState>> {
  const outcome = await decide(deps, {
    stream: sourceStream(id), apply: applyToSource, context, ifMatch, said: [id, body],
    decide(state, command) {
      const { name } = mustBeKnown(state, id);
      const changed: Fact<'source.changed'>['data']['changed'] = [];
      if (body.name !== undefined && body.name !== name) changed.push('name');
      if (body.token !== undefined) changed.push('token');
      if (body.caPem !== undefined) changed.push('ca');
      if (body.proxyUrl !== undefined) changed.push('proxy');
      return changed.length === 0 ? undefined : newFact({ type: 'source.changed', ...partsOf(deps, id, context), data: { sourceId: id, name: body.name ?? name, changed, command } });
    },
  });
  if (outcome.fact?.type === 'source.changed') {
    const { name: _name, ...rest } = body;
    await deps.sources.change(id, { revision: outcome.fact.revision, name: outcome.fact.data.name, ...rest });
  }
  return outcome;
}

/** A GitLab is known no longer, and its secrets are forgotten. Final. @throws Problem 409 while it has codebases | Unavailable */
export async function onRemoveSource(deps: ChangeSourceDeps, id: SourceId, { ifMatch, ...context }: Given): Promise<Outcome<SourceState>> {
  const outcome = await decide(deps, {
    stream: sourceStream(id), apply: applyToSource, context, ifMatch, said: [id, 'remove'],
    async decide(state, command) {
      mustBeKnown(state, id);
      await mustBeUnused(deps, id);
      return newFact({ type: 'source.removed', ...partsOf(deps, id, context), data: { sourceId: id, command } });
    },
  });
  await deps.sources.forget(id);
  return outcome;
}

const partsOf = (deps: DecideDeps, id: SourceId, { actor, key }: CommandContext) => ({ key: id, actor, correlationId: key, causationId: null, time: deps.now() });

function mustBeKnown(state: SourceState | undefined, id: SourceId): SourceState {
  if (state === undefined) throw new Problem(404, 'source-unknown', `There is no source ${id}. GET /v1/sources lists them.`);
  if (state.standing === 'removed') throw new Problem(410, 'source-removed', `Source ${id} was removed, and its credentials with it. POST /v1/sources makes the GitLab known again.`);
  return state;
}

/** More would not be read by anybody. */
const NAMED_MAX = 10;
const PAGE = 200;

/** Without its token no webhook can be taken away, and no codebase be restored or synced. @throws Problem 409 */
async function mustBeUnused({ log, store }: ChangeSourceDeps, source: SourceId): Promise<void> {
  const look = (after: string) => store.codebases({ after, limit: PAGE, source, states: ['active', 'archived', 'removed'] });
  const users: string[] = [];
  for (let page = await look(''); page.length > 0 && users.length <= NAMED_MAX; page = await look(page.at(-1)?.id ?? '')) {
    for (const { id, path } of page) {
      const why = whyUsed(await readState(log, codebaseStream(id), applyToCodebase));
      if (why !== undefined) users.push(`${path ?? id} (${why})`);
      if (users.length > NAMED_MAX) break;
    }
  }
  if (users.length === 0) return;
  throw new Problem(409, 'source-in-use', `Source ${source} still has codebases: ${users.slice(0, NAMED_MAX).join(', ')}${users.length > NAMED_MAX ? ' and more' : ''}. Remove them first: DELETE /v1/codebases/{id}.`);
}

function whyUsed(state: CodebaseState | undefined): string | undefined {
  if (state === undefined || state.standing === 'deleted') return undefined;
  if (state.standing !== 'removed') return state.standing;
  return state.hook !== undefined && state.hookToldOf !== state.removal?.id ? 'removed, and its webhook is still to be taken away in GitLab: try again in a moment' : undefined;
}
