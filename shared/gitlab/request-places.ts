import type { Release } from './slots.ts';

/** Places for requests under way to one GitLab, of all processes that share them: at most so many at a time. */
export interface RequestPlaces {
  /** @throws the signal's reason, when it is aborted before there is a place. Never because what they share is away */
  take(gitlab: string, signal?: AbortSignal): Promise<Release>;
}
