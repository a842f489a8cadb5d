import { Unavailable } from './unavailable.ts';

/** The promise, or Unavailable when it has not answered in time: a dependency that is silent is away. The work itself goes on. */
export async function withDeadline<T>(work: Promise<T>, { ms, dependency }: { readonly ms: number; readonly dependency: string }): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Unavailable(dependency, `no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
