import type { SourceCheck } from '#schemas/api/sources.ts';
import type { SourceId } from '#schemas/brand.ts';
import type { ChangeSource } from '#schemas/commands/commands.ts';
import type { Fact } from '#schemas/events/facts.ts';
import { codebaseStream, sourceStream } from '#schemas/ids.ts';
import { applyToCodebase, type CodebaseState } from '#shared/lifecycles/codebase-state.ts';
import { readState } from '#shared/lifecycles/read-state.ts';
import { applyToSource, type SourceState } from '#shared/lifecycles/source-state.ts';
import type { CheckSourceDeps } from '#shared/sources/check-source.ts';
import type { SourceChecks } from '#shared/sources/source-checks.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { Problem } from '#shared/runtime/problem.ts';
import type { SourceRegistry } from '#shared/sources/source-directory.ts';
import { changedAccessOf, checkGiven } from './check-given.ts';
import { decide, type DecideDeps, type Outcome } from './decide.ts';
import type { IfMatch } from './if-match.ts';
import type { CommandContext } from './register-source.ts';

export interface ChangeSourceDeps extends DecideDeps, CheckSourceDeps {
  readonly sources: Pick<SourceRegistry, 'access' | 'settings' | 'change' | 'renewWebhookSecrets' | 'forget'>;
  readonly checks: Pick<SourceChecks, 'keep' | 'askAgain'>;
  /** Which codebases a source has, as far as folded. */
  readonly store: Pick<ReadStore, 'codebases'>;
}

type Given = CommandContext & { readonly ifMatch: IfMatch };

/**
 * Another name, token, authority, client certificate or proxy: once GitLab took it. The fact first, for the log decides who is
 * first, and who is second must have changed no secret; then table and vault: sent again after a crash between, the same command
 * finds its fact and writes them, whatever was changed since of the rest. @throws Problem | Unavailable
 */
export async function onChangeSource(deps: ChangeSourceDeps, id: SourceId, { body, ifMatch, ...context }: Given & { readonly body: ChangeSource }): Promise<Outcome<SourceState>> {
  let given: Checked | undefined;
  const outcome = await decide(deps, {
    stream: sourceStream(id), apply: applyToSource, context, ifMatch, said: [id, body],
    async decide(state, command) {
      const { name } = mustBeKnown(state, id);
      // Once, however often somebody else is quicker: GitLab counts wrong tokens.
      given ??= await checkChange(deps, id, body);
      const changed: Fact<'source.changed'>['data']['changed'] = [...(body.name !== undefined && body.name !== name ? ['name' as const] : []), ...given.changed];
      return changed.length === 0 ? undefined : newFact({ type: 'source.changed', ...partsOf(deps, id, context), data: { sourceId: id, name: body.name ?? name, changed, ...(changed.includes('addresses') ? { allowAddresses: body.allowAddresses } : {}), command } });
    },
  });
  if (outcome.fact?.type === 'source.changed') {
    const { revision, data: { name, changed } } = outcome.fact;
    const { name: _name, acceptUnreachable: _accept, ...rest } = body;
    await deps.sources.change(id, { revision, ...(changed.includes('name') ? { name } : {}), ...rest });
    if (given?.made !== undefined) await deps.checks.keep(id, { ...given.made, at: deps.now() });
    // Told again: what GitLab said then is not known here, and what is in use now may be another's.
    else if (outcome.isRepeated && changed.some((one) => one !== 'name')) await deps.checks.askAgain(id, deps.now());
  }
  return outcome;
}

interface Checked { readonly changed: NonNullable<ReturnType<typeof changedAccessOf>>['changed']; readonly made: { readonly check: SourceCheck; readonly token: string } | undefined }

/** What differs from what is in use, asked of GitLab. @throws Problem 422 when it does not take it */
async function checkChange(deps: ChangeSourceDeps, id: SourceId, body: ChangeSource): Promise<Checked> {
  const [settings, now] = await Promise.all([deps.sources.settings(id), deps.sources.access(id)]);
  if (settings === undefined) throw new Error(`source ${id} is known, but its settings are not there`);
  const wanted = changedAccessOf({ baseUrl: settings.baseUrl, now, body });
  if (wanted === undefined || wanted.changed.length === 0) return { changed: [], made: undefined };
  return { changed: wanted.changed, made: { check: await checkGiven(deps, wanted.access, body), token: wanted.access.token } };
}

/** Who reads the code of its public and internal projects. @throws Problem | Unavailable */
export function onOpenProjects(deps: DecideDeps, id: SourceId, { readBy, ifMatch, ...context }: Given & Pick<Fact<'source.open-projects-decided'>['data'], 'readBy'>): Promise<Outcome<SourceState>> {
  return decide(deps, {
    stream: sourceStream(id), apply: applyToSource, context, ifMatch, said: [id, 'open-projects', readBy],
    decide(state, command) {
      const before = mustBeKnown(state, id).openProjectsReadBy;
      return before === readBy ? undefined : newFact({ type: 'source.open-projects-decided', ...partsOf(deps, id, context), data: { sourceId: id, readBy, command } });
    },
  });
}

/** New webhook secrets; the ones before stay good beside them for a while. The fact first: told again after a crash, the same command makes what is missing. @throws Problem | Unavailable */
export async function onRotateSecret(deps: ChangeSourceDeps, id: SourceId, { ifMatch, ...context }: Given): Promise<Outcome<SourceState>> {
  const outcome = await decide(deps, {
    stream: sourceStream(id), apply: applyToSource, context, ifMatch, said: [id, 'rotate-secret'],
    decide: (state, command) => newFact({ type: 'source.changed', ...partsOf(deps, id, context), data: { sourceId: id, name: mustBeKnown(state, id).name, changed: ['webhook-secret'], command } }),
  });
  if (outcome.fact !== undefined) await deps.sources.renewWebhookSecrets(id, { revision: outcome.fact.revision, at: new Date(outcome.fact.time) });
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
