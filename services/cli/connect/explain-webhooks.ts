import type { CodebaseSummary } from '#schemas/api/codebases.ts';
import type { ManualHook } from '#schemas/api/sources.ts';
import { counted } from '#shared/api-client/describe-fact.ts';
import { printable } from '../plain-text.ts';

/** How the engine will hear of pushes, as far as is known. */
export interface Hearing {
  readonly installed: number;
  readonly refused: number;
  readonly pending: number;
  /** What GitLab said to the first refused one. */
  readonly reason: string | null;
}

export function hearingOf(codebases: Iterable<Pick<CodebaseSummary, 'hook'>>): Hearing {
  const count = { installed: 0, refused: 0, pending: 0 };
  let reason: string | null = null;
  for (const { hook } of codebases) {
    // Restored a moment ago: it is being made again.
    count[hook.state === 'removed' ? 'pending' : hook.state] += 1;
    reason ??= hook.state === 'refused' ? hook.reason : null;
  }
  return { ...count, reason };
}

/** GitLab on another machine cannot call an address that means "this machine". */
export function isUnreachable({ gitlab, hook }: { gitlab: string; hook: string }): boolean {
  return isLoopback(new URL(hook).hostname) && !isLoopback(new URL(gitlab).hostname);
}

const isLoopback = (host: string) => host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host) || host === '0.0.0.0';

/** What to enter in GitLab: once per project, or once for a group or for all of it. */
export function manualHookLines({ url, secretToken, signingToken, triggers, where, group, system }: ManualHook): string[] {
  const placeLines = (name: string, place: ManualHook['group']) => [`  ${name}${printable(place.where)}`, `  triggers        ${place.triggers.map(printable).join(', ')}`];
  return [
    'To make the webhook by hand:',
    `  where           ${printable(where)}`,
    `  URL             ${printable(url)}`,
    `  secret token    ${printable(secretToken)}`,
    `  signing token   ${printable(signingToken)}   (GitLab 19.0 and newer; then the secret token may be left out)`,
    `  triggers        ${triggers.map(printable).join(', ')}`,
    'One for many projects, which tells of members too; URL and secrets as above:',
    ...placeLines('of a group      ', group),
    ...placeLines('of all          ', system),
  ];
}

/** Why GitLab will not tell of pushes, and what happens instead; none where it will. */
export function unheardLines(hearing: Hearing, { gitlab, hook }: { gitlab: string; hook: string }): string[] {
  const lines: string[] = [];
  if (isUnreachable({ gitlab, hook })) {
    lines.push(`GitLab at ${new URL(gitlab).host} cannot reach ${new URL(hook).origin}: that address means GitLab's own machine. Start the engine with TEKAI_PUBLIC_URL set to an address that GitLab reaches, then run this command again.`);
  }
  if (hearing.refused > 0) lines.push(`The webhook could not be made in ${counted(hearing.refused, 'project')}: ${printable(hearing.reason ?? 'GitLab did not say why')}`);
  if (lines.length > 0) lines.push('Until then the engine asks GitLab for new pushes by itself: nothing is missed, it is only later than with a webhook.');
  return lines;
}
