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
