import { until, type System } from '../harness/system.ts';

/** Waits until a key waits for a reason in these words. In vain, it tells the reasons that were said. */
export async function untilKeyWaits(system: System, reason: RegExp, { meanwhile = async () => undefined }: { readonly meanwhile?: () => Promise<unknown> } = {}): Promise<void> {
  const said = () => [...new Set([...system.log().matchAll(/"reason":"((?:[^"\\]|\\.)*)"/g)].map(([, text]) => text ?? ''))];
  await until('a key waits and says why', async () => { await meanwhile(); return said().some((text) => reason.test(text)); })
    .catch((error: unknown) => { throw new Error(`${(error as Error).message} (${reason}). Said was: ${said().join(' | ') || 'nothing'}`, { cause: error }); });
}
