import type { Logger } from './logger.ts';

/**
 * The steps of a delivery, and then of the sync that it leads to, in order: each is told when it has been taken, none before.
 *
 * | step | by then |
 * | --- | --- |
 * | spooled | it lies fsynced in the spool, because the log is away |
 * | written | its body stands in `deliveries` |
 * | appended | the cause is in the log |
 * | fetched | git has brought the commit |
 * | packed | what is new lies in the blob store; nobody names it yet |
 * | scanned | `codebase.scanned` is in the log |
 * | recorded | its objects are in the index; no version shows them yet |
 * | stored | `codebase.stored` is in the log |
 * | projected | the read tables have reached `position` |
 * | told | who listens was told everything up to `position` |
 */
export const STEPS = ['spooled', 'written', 'appended', 'fetched', 'packed', 'scanned', 'recorded', 'stored', 'projected', 'told'] as const;
export type Step = (typeof STEPS)[number];

/** `correlation` is one from the delivery to the last of its syncs. `ended`: the sync stored nothing, and `type` says what became of it. */
export interface Took { readonly correlation?: string; readonly sync?: string; readonly codebase?: string; readonly type?: string; readonly position?: string }

/** One line at level debug, so that an operator sees how far a push came, and a drill where it killed. */
export function tookStep(logger: Pick<Logger, 'debug'>, step: Step | 'ended', took: Took): void {
  logger.debug({ step, ...took }, 'a step was taken');
}
