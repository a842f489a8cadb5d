import { createHash } from 'node:crypto';
import type { GitLabProjectId, SourceId } from '#schemas/brand.ts';
import { GitLabRequestError, type Answer, type GitLab, type GitLabAccess, type GitLabHook, type WantedHook } from '#shared/gitlab/gitlab.ts';
import { isLoopback } from '#shared/sources/reach-of-address.ts';
import type { SourceDirectory } from '#shared/sources/source-directory.ts';
import { decideHook, isUsed, needOfHook } from './decide-hook.ts';

export interface HookDeps {
  readonly sources: Pick<SourceDirectory, 'access' | 'webhookSecrets'>;
  /** Where GitLab reaches us. */
  readonly publicUrl: string;
}

export interface HookWish {
  readonly access: GitLabAccess;
  readonly wanted: WantedHook;
  /** Changes when a refused try is worth another: digest of the address and the credentials. */
  readonly basis: string;
  /** Of the source's secrets: the revision at which they were changed, 0 for those it was registered with. */
  readonly secrets: number;
}

/** What the hook of a source must be, and what it is asked with; undefined while there are no credentials. @throws Unavailable */
export async function hookWishOf({ sources, publicUrl }: HookDeps, sourceId: SourceId): Promise<HookWish | undefined> {
  const [access, secrets] = await Promise.all([sources.access(sourceId), sources.webhookSecrets(sourceId)]);
  const [token, signingToken] = [secrets?.tokens[0], secrets?.signingTokens[0]];
  if (access === undefined || token === undefined || signingToken === undefined) return undefined;
  const url = `${publicUrl}/webhooks/gitlab/${sourceId}`;
  const basis = createHash('sha256').update(JSON.stringify([url, access.baseUrl, access.token, ...(secrets?.revision === undefined ? [] : [secrets.revision])])).digest('hex').slice(0, 16);
  return { access, wanted: { url, token, signingToken }, basis, secrets: secrets?.revision ?? 0 };
}

export type HookResult =
  | { readonly kind: 'installed'; readonly how: 'created' | 'adopted' | 'repaired'; readonly hook: GitLabHook; /** Ours are in it: it was not left as somebody made it. */ readonly hasSecrets: boolean; /** GitLab still does not use it: to be tried once this is told. */ readonly isUntried?: true }
  /** It stands there and GitLab uses it: nothing was changed. */
  | { readonly kind: 'good' }
  | { readonly kind: 'absent'; readonly detail: string }
  | { readonly kind: 'refused'; readonly reason: string };

/** One webhook with our URL, made or adopted. @throws Unavailable */
export async function ensureHook(gitlab: GitLab, project: GitLabProjectId, { wanted, access }: HookWish): Promise<HookResult> {
  if (isOutOfReach(wanted.url, access.baseUrl)) return { kind: 'refused', reason: `GitLab at ${new URL(access.baseUrl).origin} cannot reach ${wanted.url}, which is this machine's own address. Set TEKAI_PUBLIC_URL to one that it can reach; until then its refs are polled.` };
  return asking(wanted, async () => {
    const hooks = await gitlab.hooks(project);
    if (hooks.kind !== 'ok') return notInstalled(hooks);
    const decision = decideHook(hooks.value, wanted.url);
    const answer = decision.kind === 'create' ? await gitlab.createHook(project, wanted) : await gitlab.updateHook(project, decision.hookId, wanted);
    const found = hooks.value.find((hook) => decision.kind === 'adopt' && hook.id === decision.hookId);
    // Made by hand because our token may not: it need not be ours to change. Wrong secrets in it show as refused deliveries.
    if (answer.kind === 'refused' && found?.receivesPushes === true) return { kind: 'installed', how: 'adopted', hook: found, hasSecrets: false };
    return answer.kind === 'ok' ? { kind: 'installed', how: decision.kind === 'create' ? 'created' : 'adopted', hook: answer.value, hasSecrets: true } : notInstalled(answer);
  });
}

export interface InstalledHook extends HookWish { readonly installedId: number | undefined; readonly hasSecrets: boolean; readonly wasSigned: boolean }

/** Looks after a webhook that was installed: one that is gone is made again, one that GitLab disabled is set right and tried, one that may have older secrets gets the new ones: GitLab does not tell which it has. Whether it signs is told when it is not as it was. @throws Unavailable */
export async function repairHook(gitlab: GitLab, project: GitLabProjectId, { wanted, installedId, hasSecrets, wasSigned }: InstalledHook): Promise<HookResult> {
  return asking(wanted, async () => {
    const hooks = await gitlab.hooks(project);
    // Not let to look is no sign that it is broken.
    if (hooks.kind !== 'ok') return { kind: 'absent', detail: hooks.detail };
    const decision = decideHook(hooks.value, wanted.url);
    const ours = hooks.value.find(({ id }) => id === (decision.kind === 'adopt' ? decision.hookId : installedId));
    const need = needOfHook(ours, { url: wanted.url, hasSecrets, wasSigned });
    const asItStands = (hook: GitLabHook): HookResult => (hook.isSigned === wasSigned ? { kind: 'good' } : { kind: 'installed', how: 'adopted', hook, hasSecrets });
    if (ours !== undefined && (need === 'nothing' || need === 'tell')) return asItStands(ours);
    // The one that we made, with an address that we no longer have, is led to the new one.
    const answer = ours === undefined ? await gitlab.createHook(project, wanted) : await gitlab.updateHook(project, ours.id, wanted);
    // Made by hand, and not ours to change: with the secret token alone it goes on working, once that is told, whatever else it lacks.
    if (answer.kind === 'refused' && ours !== undefined && (need === 'sign' || ours.isSigned !== wasSigned)) return asItStands(ours);
    if (answer.kind !== 'ok') return notInstalled(answer);
    if (need === 'sign' && !answer.value.isSigned) return asItStands(answer.value);
    if (isUsed(answer.value)) return { kind: 'installed', how: 'repaired', hook: answer.value, hasSecrets: true };
    // Refused for want of a signature until it is told that it has none: a try would be, too.
    if (answer.value.isSigned !== wasSigned) return { kind: 'installed', how: 'repaired', hook: answer.value, hasSecrets: true, isUntried: true };
    // Only a delivery that we answered well makes GitLab use it again.
    const tried = await gitlab.testHook(project, answer.value.id);
    return tried.kind === 'ok' ? { kind: 'installed', how: 'repaired', hook: answer.value, hasSecrets: true } : notInstalled(tried);
  });
}

async function asking(wanted: WantedHook, ask: () => Promise<HookResult>): Promise<HookResult> {
  try {
    return await ask();
  } catch (error) {
    // GitLab would say the same for ever: people must mend it. The address is what it refuses most.
    if (error instanceof GitLabRequestError) return { kind: 'refused', reason: `GitLab does not take the webhook ${wanted.url}: ${error.message}. It must be able to reach TEKAI_PUBLIC_URL, and be allowed to (Admin, Network, Outbound requests).` };
    throw error;
  }
}

function notInstalled(answer: Exclude<Answer<unknown>, { kind: 'ok' }>): HookResult {
  if (answer.kind === 'absent') return answer;
  return { kind: 'refused', reason: `GitLab does not let us make the webhook: ${answer.detail}. It takes a token with the scope api, of a Maintainer.` };
}

/** An address of this machine alone, given to a GitLab on another: its deliveries would go to itself. */
export function isOutOfReach(url: string, gitlabUrl: string): boolean {
  return isLoopback(new URL(url).hostname) && !isLoopback(new URL(gitlabUrl).hostname);
}
