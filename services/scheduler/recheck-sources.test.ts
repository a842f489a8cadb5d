import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { SourceCheck } from '#schemas/api/sources.ts';
import type { SourceId } from '#schemas/brand.ts';
import type { GitLab } from '#shared/gitlab/gitlab.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { recheckSources } from './recheck-sources.ts';

const refusing = { tokenSelf: async () => ({ kind: 'refused', status: 401, detail: 'Token is expired.' }) } as unknown as GitLab;

test('what is due is asked and kept, one after another; a database that is away is waited for, and a bug ends nothing', async () => {
  const due = [randomUUID(), 'away', randomUUID(), 'bug', randomUUID()] as SourceId[];
  const kept: [SourceId, SourceCheck['state'], string][] = [];
  const waits: number[] = [];
  const stopping = new AbortController();
  const running = recheckSources({
    publicUrl: 'http://here', now: () => new Date(0), logger: createLogger('silent'), openGitLab: () => refusing,
    sources: { access: async () => ({ baseUrl: 'http://gitlab', token: 'glpat-x', caPem: undefined, proxyUrl: undefined }) },
    checks: {
      claimDue: async () => {
        const next = due.shift();
        if (next === 'away' as SourceId) throw new Unavailable('database', 'away');
        if (next === 'bug' as SourceId) throw new TypeError('a bug');
        return next;
      },
      keep: async (source, { check, token }) => { kept.push([source, check.state, token]); },
    },
    sleep: async (ms, signal) => { waits.push(ms); if (waits.length > 3) stopping.abort(); await delay(1, undefined, { signal }).catch(() => undefined); },
  }, stopping.signal);
  await running;
  expect(kept.map(([, state, token]) => [state, token])).toEqual([['refused', 'glpat-x'], ['refused', 'glpat-x'], ['refused', 'glpat-x']]);
  // A minute after a fault, and a minute when nothing is due.
  expect(waits).toEqual([60_000, 60_000, 60_000, 60_000]);
});
