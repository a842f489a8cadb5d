import path from 'node:path';

import type { RepositoryLocks } from './git/repository-lock.ts';
import type { Refs } from './git/repository.ts';
import type { HookQueue } from './hooks/hook-queue.ts';
import type { Faults } from './http/faults.ts';
import type { Throttle } from './http/rate-limit.ts';
import type { RequestLog } from './http/request-log.ts';
import type { Project } from './state/records.ts';
import type { State } from './state/state.ts';

/** The refs that REST still shows for a project, until a moment. */
export interface Lag {
  until: number;
  refs: Refs;
}

/** One simulated GitLab: what every endpoint works on. */
export interface Instance {
  dir: string;
  state: State;
  locks: RepositoryLocks;
  faults: Faults;
  throttle: Throttle;
  requests: RequestLog;
  hooks: HookQueue;
  lags: Map<number, Lag>;
  adminToken: string;
  /** The clock of the instance; an admin endpoint moves it, so that an hour's back-off needs no hour. */
  now(): Date;
  advanceClock(milliseconds: number): void;
  /** Base of every URL in answers and payloads, without a slash at the end. */
  url(): string;
  /** Work that goes on after the answer. `idle` waits for it. */
  inBackground(work: () => Promise<void>): void;
}

export function repositoryOf(instance: Pick<Instance, 'dir'>, project: Pick<Project, 'id'>): string {
  return path.join(instance.dir, 'repositories', `${project.id}.git`);
}
