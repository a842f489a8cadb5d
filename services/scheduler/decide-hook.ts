import type { GitLabHook } from '#shared/gitlab/gitlab.ts';

export type HookDecision =
  | { readonly kind: 'create' }
  /** GitLab does not make URLs unique: what stands there is taken over, never doubled. */
  | { readonly kind: 'adopt'; readonly hookId: number };

/** Among the hooks of a project, which one is ours: the one with our URL, the oldest if there are several. */
export function decideHook(hooks: readonly GitLabHook[], url: string): HookDecision {
  const ours = hooks.filter((hook) => hook.url === url).sort((a, b) => a.id - b.id);
  return ours[0] === undefined ? { kind: 'create' } : { kind: 'adopt', hookId: ours[0].id };
}

/** What we know of a webhook that was installed. */
export interface KnownHook {
  readonly url: string;
  /** The secrets that are good now were set in it. */
  readonly hasSecrets: boolean;
  /** What was last told of it: while it says true, deliveries without a signature are refused. */
  readonly wasSigned: boolean;
}

/** `sign`: it works, but lacks the signing token that this GitLab would take. `tell`: it works, and what was told of its signing is no longer so. */
export type HookNeed = 'nothing' | 'tell' | 'sign' | 'repair';

/** What a webhook that was installed needs, as GitLab shows it now. */
export function needOfHook(hook: GitLabHook | undefined, { url, hasSecrets, wasSigned }: KnownHook): HookNeed {
  if (hook === undefined || !hasSecrets || hook.url !== url || !hook.receivesPushes || !isUsed(hook)) return 'repair';
  // Made anew by somebody, or GitLab was upgraded.
  if (!hook.isSigned && hook.offersSigning) return 'sign';
  return hook.isSigned === wasSigned ? 'nothing' : 'tell';
}

/** Older GitLab does not say: then it is taken as used. */
export const isUsed = ({ alertStatus }: Pick<GitLabHook, 'alertStatus'>): boolean => alertStatus === null || alertStatus === 'executable';
