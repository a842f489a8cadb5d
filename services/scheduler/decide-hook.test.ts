import type { GitLabHook } from '#shared/gitlab/gitlab.ts';
import { needOfHook, type HookNeed } from './decide-hook.ts';

const HOOK: GitLabHook = { id: 1, url: 'u', isSigned: true, offersSigning: true, alertStatus: 'executable', receivesPushes: true };
const KNOWN = { url: 'u', hasSecrets: true, wasSigned: true };

test.each<[string, Partial<GitLabHook> | undefined, Partial<typeof KNOWN>, HookNeed]>([
  ['as it was', {}, {}, 'nothing'],
  ['gone', undefined, {}, 'repair'],
  ['led elsewhere', { url: 'v' }, {}, 'repair'],
  ['disabled', { alertStatus: 'disabled' }, {}, 'repair'],
  ['of an older GitLab that says nothing of it', { alertStatus: null }, {}, 'nothing'],
  ['not told of pushes', { receivesPushes: false }, {}, 'repair'],
  ['with older secrets', {}, { hasSecrets: false }, 'repair'],
  ['made anew without a signing token', { isSigned: false }, {}, 'sign'],
  ['of a GitLab that was upgraded', { isSigned: false }, { wasSigned: false }, 'sign'],
  ['of a GitLab that was downgraded', { isSigned: false, offersSigning: false }, {}, 'tell'],
  ['of a GitLab that never signed', { isSigned: false, offersSigning: false }, { wasSigned: false }, 'nothing'],
  ['given a signing token by somebody', {}, { wasSigned: false }, 'tell'],
])('a webhook that is %s', (_how, change, known, need) => {
  expect(needOfHook(change && { ...HOOK, ...change }, { ...KNOWN, ...known })).toBe(need);
});
