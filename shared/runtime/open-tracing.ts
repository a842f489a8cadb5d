import { NO_TRACING, type Tracing } from './tracing.ts';

/** The SDK is loaded by those only who send traces somewhere: it takes 0.6 s and 25 MB. */
export async function openTracing({ isTraced }: { readonly isTraced: boolean }): Promise<Tracing> {
  if (!isTraced) return NO_TRACING;
  const { startOtlpTracing } = await import('./otlp-tracing.ts');
  return startOtlpTracing();
}
