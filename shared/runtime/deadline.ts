import { Unavailable } from './unavailable.ts';

export interface Deadline { readonly ms: number; readonly dependency: string; readonly signal?: AbortSignal | undefined }

/** The promise, or Unavailable when it has not answered in time: a dependency that is silent is away. Given up, the signal's reason. The work itself goes on. */
export async function withDeadline<T>(work: Promise<T>, { ms, dependency, signal }: Deadline): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let giveUp = () => {};
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Unavailable(dependency, `no answer within ${ms} ms`)), ms);
    giveUp = () => reject(signal?.reason as Error);
    if (signal?.aborted === true) giveUp();
    else signal?.addEventListener('abort', giveUp, { once: true });
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', giveUp);
  }
}
