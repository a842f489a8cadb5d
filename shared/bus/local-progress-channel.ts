import { EventEmitter } from 'node:events';
import type { Progress } from './bus.ts';
import type { ProgressChannel } from './progress-channel.ts';

/** Within this process. */
export function createLocalProgressChannel(): ProgressChannel {
  const told = new EventEmitter<{ progress: [Progress] }>();
  // One listener per notifier and waiting request, not a leak.
  told.setMaxListeners(0);

  return {
    tell: (progress) => void told.emit('progress', progress),
    listen(listener) {
      told.on('progress', listener);
      return () => void told.off('progress', listener);
    },
  };
}
