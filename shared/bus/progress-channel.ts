import type { Progress } from './bus.ts';

/** Carries progress to whoever listens, in whatever process. A courtesy: lost when nobody does, or the way is cut. Never throws. */
export interface ProgressChannel {
  tell(progress: Progress): void;
  /** Returns how to stop listening. */
  listen(listener: (progress: Progress) => void): () => void;
}
